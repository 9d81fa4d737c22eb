public import NIOCore

/// A capability map: what a peer can do, and during authentication its credentials (reference §10).
public struct Capabilities: Hashable, Sendable {
    /// One key with its value.
    public struct Entry: Hashable, Sendable {
        /// The key.
        public var name: String
        /// The value.
        public var value: QiDynamic

        /// Creates an entry.
        public init(name: String, value: QiDynamic) {
            self.name = name
            self.value = value
        }
    }

    /// The most entries accepted from a peer.
    public static let maximumEntries = 256
    /// The longest map accepted from a peer, in bytes.
    public static let maximumBytes = 65_536
    /// The signature of a map on the wire.
    public static let signature: Signature = "{sm}"

    /// The entries in wire order, names unique.
    public private(set) var entries: [Entry] = []

    /// An empty map.
    public init() {}

    /// A map of bools.
    public init(_ flags: KeyValuePairs<String, Bool>) {
        for (name, value) in flags { self[name] = QiDynamic(.bool(value)) }
    }

    /// The six that libqi 4 advertises, with its values (reference §10).
    public static let ours = Capabilities([
        Name.clientServerSocket: true, Name.messageFlags: true, Name.metaObjectCache: false, Name.objectPtrUID: true,
        Name.relativeEndpointURI: true, Name.remoteCancelableCalls: true,
    ])

    /// The keys that have a meaning.
    public enum Name {
        /// The connecting peer answers calls too.
        public static let clientServerSocket = "ClientServerSocket"
        /// Message flags are understood.
        public static let messageFlags = "MessageFlags"
        /// Metaobjects are sent once per connection.
        public static let metaObjectCache = "MetaObjectCache"
        /// Cancel messages are understood.
        public static let remoteCancelableCalls = "RemoteCancelableCalls"
        /// Object references carry uids.
        public static let objectPtrUID = "ObjectPtrUID"
        /// `qi:` endpoints are understood.
        public static let relativeEndpointURI = "RelativeEndpointURI"
        /// How far authentication has come: 1 error, 2 continue, 3 done.
        public static let authenticationState = "__qi_auth_state"
        /// Why it failed.
        public static let authenticationErrorReason = "__qi_auth_err_reason"
        /// What an authenticator's own keys begin with on the wire.
        public static let credentialPrefix = "auth_"
        /// What the protocol's own keys begin with.
        public static let protocolPrefix = "__qi_auth_"
    }

    /// The value of a key; setting nil removes it.
    public subscript(name: String) -> QiDynamic? {
        get { entries.first { $0.name == name }?.value }
        set {
            let index = entries.firstIndex { $0.name == name }
            switch (index, newValue) {
            case (let index?, let value?): entries[index].value = value
            case (nil, let value?): entries.append(Entry(name: name, value: value))
            case (let index?, nil): entries.remove(at: index)
            case (nil, nil): break
            }
        }
    }

    /// Whether a capability is advertised as true; absent is false.
    public func isEnabled(_ name: String) -> Bool { self[name]?.value.asBool ?? false }

    /// Adds the entries whose keys are new: the first value received for a key stays (reference §10).
    ///
    /// - Throws: `.limit` when there would be more than `maximumEntries`.
    public mutating func merge(_ other: Capabilities) throws(WireError) {
        for entry in other.entries where self[entry.name] == nil {
            guard entries.count < Capabilities.maximumEntries else {
                throw WireError(.limit, "more than \(Capabilities.maximumEntries) capabilities")
            }
            entries.append(entry)
        }
    }

    /// What both ends can do.
    public func shared(with other: Capabilities) -> SharedCapabilities { SharedCapabilities(self, other) }

    /// Reads a map; of equal keys the first counts.
    ///
    /// - Throws: `.limit` beyond `maximumEntries` or `maximumBytes`, else as any value.
    public init(reading buffer: inout ByteBuffer) throws(WireError) {
        guard buffer.readableBytes <= Capabilities.maximumBytes else {
            throw WireError(.limit, "a capability map of \(buffer.readableBytes) bytes")
        }
        let value = try buffer.readQi(
            Capabilities.signature.type, limits: CodingLimits(maximumElements: Capabilities.maximumBytes))
        guard case .map(let entries) = value, entries.count <= Capabilities.maximumEntries else {
            throw WireError(.limit, "more than \(Capabilities.maximumEntries) capabilities")
        }
        for entry in entries {
            guard case .string(let name) = entry.key, case .dynamic(let value) = entry.value else { continue }
            if self[name.lossyText] == nil { self[name.lossyText] = value }
        }
    }

    /// Writes the map.
    ///
    /// - Throws: `.value` when a value does not fit the signature it was given.
    public func write(to buffer: inout ByteBuffer) throws(WireError) {
        let entries = entries.map { QiMapEntry(key: .string($0.name), value: .dynamic($0.value)) }
        try buffer.writeQi(.map(entries), as: Capabilities.signature.type)
    }
}
