/// Action ids that are fixed by the protocol (reference §5, §9, §12).
public enum WellKnownActions {
    /// `registerEvent::(IIL)` of every object.
    public static let registerEvent: UInt32 = 0
    /// `unregisterEvent::(IIL)` of every object.
    public static let unregisterEvent: UInt32 = 1
    /// `metaObject::(I)` of every object.
    public static let metaObject: UInt32 = 2
    /// `terminate::(I)` of every object.
    public static let terminate: UInt32 = 3
    /// `property::(m)` of every object.
    public static let property: UInt32 = 5
    /// `setProperty::(mm)` of every object.
    public static let setProperty: UInt32 = 6
    /// `properties::()` of every object.
    public static let properties: UInt32 = 7
    /// `registerEventWithSignature::(IILs)` of every object.
    public static let registerEventWithSignature: UInt32 = 8
    /// `authenticate` of service 0, object 0.
    public static let authenticate: UInt32 = 8
    /// `isStatsEnabled::()` of every object.
    public static let isStatsEnabled: UInt32 = 80
    /// `enableStats::(b)` of every object.
    public static let enableStats: UInt32 = 81
    /// `stats::()` of every object.
    public static let stats: UInt32 = 82
    /// `clearStats::()` of every object.
    public static let clearStats: UInt32 = 83
    /// `isTraceEnabled::()` of every object.
    public static let isTraceEnabled: UInt32 = 84
    /// `enableTrace::(b)` of every object.
    public static let enableTrace: UInt32 = 85
    /// The signal `traceObject` of every object.
    public static let traceObject: UInt32 = 86
    /// The first id of an object's own members.
    public static let firstUserAction: UInt32 = 100

    /// `service::(s)` of the directory.
    public static let service: UInt32 = 100
    /// `services::()` of the directory.
    public static let services: UInt32 = 101
    /// `registerService` of the directory.
    public static let registerService: UInt32 = 102
    /// `unregisterService::(I)` of the directory.
    public static let unregisterService: UInt32 = 103
    /// `serviceReady::(I)` of the directory.
    public static let serviceReady: UInt32 = 104
    /// `updateServiceInfo` of the directory.
    public static let updateServiceInfo: UInt32 = 105
    /// The directory's signal `serviceAdded`.
    public static let serviceAdded: UInt32 = 106
    /// The directory's signal `serviceRemoved`.
    public static let serviceRemoved: UInt32 = 107
    /// `machineId::()` of the directory.
    public static let machineID: UInt32 = 108
    /// `_socketOfService::(I)` of the directory.
    public static let socketOfService: UInt32 = 109
}
