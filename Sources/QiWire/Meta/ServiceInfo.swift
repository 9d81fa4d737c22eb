/// An entry of the service directory (reference §12).
///
/// A peer may fill the strings with anything; they are kept as bytes, so that an entry passes through us unchanged.
public struct ServiceInfo: Hashable, Sendable {
    /// The service's number: 0 when registering, the assigned id in answers.
    public var serviceID: UInt32
    /// The host's process id; nobody interprets it.
    public var processID: UInt32
    /// The object's uid, normally 20 raw bytes but of any length. Never to be run through a UTF-8 repair.
    public var objectUID: [UInt8]

    var nameBytes: QiString
    var machineIDBytes: QiString
    var endpointBytes: [QiString]
    var sessionIDBytes: QiString

    /// Creates an entry.
    public init(
        name: String, serviceID: UInt32 = 0, machineID: String, processID: UInt32, endpoints: [String], sessionID: String,
        objectUID: [UInt8] = []
    ) {
        nameBytes = QiString(name)
        self.serviceID = serviceID
        machineIDBytes = QiString(machineID)
        self.processID = processID
        endpointBytes = endpoints.map { QiString($0) }
        sessionIDBytes = QiString(sessionID)
        self.objectUID = objectUID
    }

    /// The service's name.
    public var name: String {
        get { nameBytes.lossyText }
        set { nameBytes = QiString(newValue) }
    }

    /// The host's machine id.
    public var machineID: String {
        get { machineIDBytes.lossyText }
        set { machineIDBytes = QiString(newValue) }
    }

    /// The URIs to reach the host at.
    public var endpoints: [String] {
        get { endpointBytes.map(\.lossyText) }
        set { endpointBytes = newValue.map { QiString($0) } }
    }

    /// A random text per host session, `0` for the directory's own entry.
    public var sessionID: String {
        get { sessionIDBytes.lossyText }
        set { sessionIDBytes = QiString(newValue) }
    }

    /// The signature of an entry, exactly as libqi writes it.
    public static let signature: Signature =
        "(sIsI[s]ss)<ServiceInfo,name,serviceId,machineId,processId,endpoints,sessionId,objectUid>"

    /// The signature that directories used before objects had uids (reference §12).
    public static let olderSignature: Signature =
        "(sIsI[s]s)<ServiceInfo,name,serviceId,machineId,processId,endpoints,sessionId>"
}
