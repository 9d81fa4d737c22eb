import QiWire

/// The names of a directory: unique among pending and ready services, ids never reused, each service its registrant's own
/// (wire reference §12). Pure.
struct DirectoryTable {
    /// Who registered a service: a connection's id, or this process.
    enum Owner: Hashable {
        case connection(UInt64)
        case process
    }

    struct Entry {
        var info: ServiceInfo
        let owner: Owner
        var isReady: Bool
    }

    private(set) var entries: [UInt32: Entry] = [:]
    /// The directory's own name is taken from the start.
    private var ids: [String: UInt32] = ["ServiceDirectory": 1]
    private var nextID: UInt32 = 2
    let maximumPerOwner: Int

    init(maximumPerOwner: Int = ConnectionLimits().maximumServices) {
        self.maximumPerOwner = maximumPerOwner
    }

    /// Whether libqi can stand the name: it builds the URI `qi:<name>` from it, unchecked, and crashes on others (reference §12).
    static func isValid(name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= 255
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }

    mutating func register(_ info: ServiceInfo, owner: Owner) throws(QiError) -> UInt32 {
        guard Self.isValid(name: info.name) else {
            throw QiError(
                .invalid, "Service name \"\(info.name)\" is not valid", hint: "use 1 to 255 of A-Z a-z 0-9 . _ ~ -")
        }
        if let id = ids[info.name] {
            throw QiError(
                .conflict, "Service \"\(info.name)\" (#\(id)) is already registered. Rejecting conflicting registration attempt.")
        }
        try Self.check(endpoints: info.endpoints)
        guard entries.values.count(where: { $0.owner == owner }) < maximumPerOwner else {
            throw QiError(.limit, "this connection has registered \(maximumPerOwner) services: unregister some")
        }
        // The ids from 2^31 on are those of looked-up services (reference §19.1 d).
        guard nextID < 0x8000_0000 else { throw QiError(.limit, "this directory has given out all its ids: restart it") }
        let id = nextID
        nextID += 1
        var info = info
        info.serviceID = id
        entries[id] = Entry(info: info, owner: owner, isReady: false)
        ids[info.name] = id
        return id
    }

    /// One endpoint that is no URI makes every libqi client refuse the whole answer (reference §19).
    private static func check(endpoints: [String]) throws(QiError) {
        guard endpoints.count <= 64 else { throw QiError(.limit, "a service may have 64 endpoints, not \(endpoints.count)") }
        for text in endpoints where Endpoint(text) == nil {
            throw QiError(.invalid, "the endpoint \"\(text)\" is not a URI", hint: "use for example tcp://127.0.0.1:40000")
        }
    }

    mutating func ready(_ id: UInt32, owner: Owner) throws(QiError) -> ServiceInfo {
        guard let entry = entries[id], !entry.isReady, entry.owner == owner else {
            throw QiError(.notFound, "Can't find pending service #\(id)")
        }
        entries[id]?.isReady = true
        return entry.info
    }

    mutating func unregister(_ id: UInt32, owner: Owner) throws(QiError) -> Entry {
        guard let entry = entries[id], entry.owner == owner else {
            throw QiError(.notFound, "Unregister Service: Can't find service #\(id)")
        }
        remove(id)
        return entry
    }

    /// Replaces a service's info; every ready service of the same session gets the new endpoints.
    mutating func update(_ info: ServiceInfo, owner: Owner) throws(QiError) {
        guard let old = entries[info.serviceID], old.owner == owner else {
            throw QiError(.notFound, "updateServiceInfo: Can't find service #\(info.serviceID)")
        }
        try Self.check(endpoints: info.endpoints)
        guard info.name == old.info.name else {
            throw QiError(.invalid, "updateServiceInfo cannot rename \"\(old.info.name)\": unregister it and register it anew")
        }
        entries[info.serviceID]?.info = info
        for (id, entry) in entries where entry.isReady && entry.owner == owner && entry.info.sessionID == info.sessionID {
            entries[id]?.info.endpoints = info.endpoints
        }
    }

    /// The owner is gone: all it registered, ready or pending, in id order.
    mutating func removeAll(of owner: Owner) -> [Entry] {
        let gone = entries.values.filter { $0.owner == owner }.sorted { $0.info.serviceID < $1.info.serviceID }
        for entry in gone { remove(entry.info.serviceID) }
        return gone
    }

    private mutating func remove(_ id: UInt32) {
        if let entry = entries.removeValue(forKey: id) { ids[entry.info.name] = nil }
    }

    /// A ready service.
    func find(_ name: String) -> Entry? { ids[name].flatMap { entries[$0] }.flatMap { $0.isReady ? $0 : nil } }

    /// The ready services in id order.
    var ready: [Entry] { entries.values.filter(\.isReady).sorted { $0.info.serviceID < $1.info.serviceID } }
}
