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
    public static let maximumEntries = 64
    /// The longest map accepted from a peer, in bytes.
    public static let maximumBytes = 65_536
    /// The longest text accepted as a value, in bytes. A tunnel's names are addresses of at most 3071 (RFC 7622 §3.1).
    public static let maximumTextBytes = 4096
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
        /// QiMesh: the peer wants to be told for whom calls are passed on.
        public static let relayedCallers = "QiMeshCaller"
        /// QiMesh: the peer wants to be told what callers accept of their answers.
        public static let callTerms = "QiMeshTerms"
        /// QiMesh: long payloads may go through shared memory.
        public static let sharedMemory = "QiMeshSharedMemory"
        /// QiMesh: a subscription may allow that events are left out, and the number of those that were is told. A
        /// server says so to a client that did.
        public static let eventGaps = "QiMeshEventGaps"
        /// How far authentication has come: 1 error, 2 continue, 3 done.
        public static let authenticationState = "__qi_auth_state"
        /// Why it failed.
        public static let authenticationErrorReason = "__qi_auth_err_reason"
        /// What an authenticator's own keys begin with on the wire.
        public static let credentialPrefix = "auth_"
        /// What the protocol's own keys begin with.
        public static let protocolPrefix = "__qi_auth_"

        /// What is kept of a peer's map: other keys mean nothing here.
        static let known: Set<String> = [
            clientServerSocket, messageFlags, metaObjectCache, remoteCancelableCalls, objectPtrUID, relativeEndpointURI, relayedCallers,
            callTerms, sharedMemory, eventGaps, authenticationState, authenticationErrorReason, credentialPrefix + "user",
            credentialPrefix + "token",
            credentialPrefix + "newToken", credentialPrefix + "qimesh_from", credentialPrefix + "qimesh_to",
        ]
        /// Longer ones are not even looked up.
        static let maximumBytes = known.map(\.utf8.count).max() ?? 0
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
            guard entries.count < Capabilities.maximumEntries else { throw Capabilities.tooMany }
            entries.append(entry)
        }
    }

    private static var tooMany: WireError { WireError(.limit, "more than \(maximumEntries) capabilities") }

    /// What both ends can do.
    public func shared(with other: Capabilities) -> SharedCapabilities { SharedCapabilities(self, other) }

    /// Reads a map; of equal keys the first counts, and keys without a meaning are dropped.
    ///
    /// - Throws: `.limit` beyond `maximumEntries`, `maximumBytes` or `maximumTextBytes`, `.value` for a value that is no scalar, else as
    ///   any value.
    public init(reading buffer: inout ByteBuffer) throws(WireError) {
        guard buffer.readableBytes <= Capabilities.maximumBytes else {
            throw WireError(.limit, "a capability map of \(buffer.readableBytes) bytes")
        }
        var rest = buffer
        let count = try rest.readQiUInt32()
        guard count <= Capabilities.maximumEntries else { throw Capabilities.tooMany }
        for _ in 0..<count {
            guard let key = rest.readLengthPrefixedQiBytes() else { throw .truncated("a capability's name") }
            let type = try rest.readScalarSignature()
            guard let name = Capabilities.known(key), self[name] == nil else {
                _ = try rest.skipQi(type)
                continue
            }
            let value = try rest.readQi(type)
            if case .string(let text) = value, text.count > Capabilities.maximumTextBytes {
                throw WireError(.limit, "the capability \(name) has \(text.count) bytes")
            }
            entries.append(Entry(name: name, value: QiDynamic(signature: Signature(type), value: value)))
        }
        buffer = rest
    }

    private static func known(_ key: ByteBuffer) -> String? {
        guard key.readableBytes <= Name.maximumBytes else { return nil }
        let name = String(buffer: key)
        return Name.known.contains(name) ? name : nil
    }

    /// Writes the map.
    ///
    /// - Throws: `.value` when a value does not fit the signature it was given.
    public func write(to buffer: inout ByteBuffer) throws(WireError) {
        let entries = entries.map { QiMapEntry(key: .string($0.name), value: .dynamic($0.value)) }
        try buffer.writeQi(.map(entries), as: Capabilities.signature.type)
    }
}

extension ByteBuffer {
    /// The type of a dynamic that holds a number, a bool or a text, be it within dynamics.
    ///
    /// - Throws: `.value` for any other.
    fileprivate mutating func readScalarSignature() throws(WireError) -> QiType {
        for _ in 0..<4 {
            guard let text = readLengthPrefixedQiBytes() else { throw .truncated("a signature") }
            guard text.readableBytes == 1, let character = text.readableBytesView.first, let type = Signature.scalar(character)?.type
            else { break }
            switch type {
            case .dynamic: continue
            case .bool, .string, .float, .double: return type
            default: if type.isInteger { return type }
            }
            break
        }
        throw WireError(.value, "a capability is a bool, a number or a text")
    }
}
