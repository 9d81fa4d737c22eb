import QiWire

/// Members that policies treat by themselves (wire reference §9, §12, §20).
enum GenericMembers {
    /// Statistics and traces of every object: they tell what others do.
    static let diagnostics: Set<String> = [
        "isStatsEnabled", "enableStats", "stats", "clearStats", "isTraceEnabled", "enableTrace", "traceObject",
    ]

    /// What a client needs of the directory to use any service.
    static let lookingUp: Set<String> = ["service", "services", "machineId", "serviceAdded", "serviceRemoved"]

    /// What a host needs of the directory to offer one.
    static let registering: Set<String> = ["registerService", "unregisterService", "serviceReady", "updateServiceInfo"]
}
