import DequeModule
import NIOCore
import QiWire

/// The names of a directory: unique among pending and ready services, ids never reused, each service its registrant's own
/// (wire reference §12). Pure.
///
/// After a restart the services of before are *unconfirmed*: nobody finds them, and for ``reservationTime`` their names and ids are
/// kept for the principal that had them, at the door it came in by: what a peer says of its machine and session counts only beside that.
/// A session of ours that lost its way for a while only wishes for the id it had.
struct DirectoryTable {
    /// Who registered a service: a connection's id, or this process.
    enum Owner: Hashable {
        case connection(UInt64)
        case process
        /// A device that was lost with the connection of that number: its services are kept for it.
        case away(UInt64)
        /// The directory beside this one, whose services are ours too.
        case upstream
    }

    /// The principal that has a name, as its connection has proven, and the zone it came in by: what counts over a restart.
    struct Holder: Hashable {
        let principal: String
        let zone: Zone

        static let process = Holder(principal: "process", zone: .internal)
        static let upstream = Holder(principal: "upstream", zone: .internal)

        init(principal: String, zone: Zone) {
            self.principal = principal
            self.zone = zone
        }

        init(_ principal: Principal) { self.init(principal: principal.description, zone: principal.zone) }

        /// Whether the principal is one and the same wherever it comes from. Processes and addresses are shared by many.
        var isProven: Bool {
            principal != Self.process.principal && !principal.hasPrefix("uid:") && !principal.hasPrefix("host:") && !principal.isEmpty
        }
    }

    struct Entry {
        var info: ServiceInfo
        fileprivate(set) var owner: Owner
        let holder: Holder
        var isReady: Bool
        /// Whether it took up what was reserved for it.
        fileprivate(set) var isReturning: Bool
        /// Whether its owner of before took it up again, which is not ready yet.
        fileprivate(set) var isKept = false
    }

    private(set) var entries: [UInt32: Entry] = [:]
    /// How many of the entries each owner has.
    private var counts: [Owner: Int] = [:]
    /// The directory's own name is taken from the start.
    private var ids: [String: UInt32] = ["ServiceDirectory": 1]
    private var numbers: ServiceIDs
    private var reserved: [String: DirectoryJournal.Registration]
    private let reservedUntil: NIODeadline
    /// The last services that went, for those who come back and say which id they had.
    private var past: [String: DirectoryJournal.Registration] = [:]
    private var pastOrder: Deque<String> = []
    let maximumPerOwner: Int

    /// How long after a restart the names of before are kept for their owners: a session of ours is back after 5 s at the latest, a
    /// libqi host when whoever runs it has restarted it.
    static let reservationTime = TimeAmount.seconds(30)
    private static let maximumPast = 4096

    /// - Parameter journal: what was before this process; unconfirmed until `now` + ``reservationTime``.
    init(
        maximumPerOwner: Int = ConnectionLimits().maximumServices, journal: DirectoryJournal = DirectoryJournal(),
        at now: NIODeadline = .now()
    ) {
        self.maximumPerOwner = maximumPerOwner
        numbers = journal.ids
        reserved = journal.names
        reservedUntil = now + Self.reservationTime
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

    /// Takes a service in, not ready yet.
    ///
    /// - Parameter assigned: the id a master directory gave it; nil: one of ours, the one it had if that may be.
    mutating func register(
        _ info: ServiceInfo, owner: Owner, holder: Holder = .process, assigned: UInt32? = nil, at now: NIODeadline = .now()
    ) throws(QiError) -> UInt32 {
        try check(info, owner: owner, holder: holder, at: now)
        if let id = takeUp(info, owner: owner, holder: holder) { return id }
        let id: UInt32
        if let assigned {
            guard entries[assigned] == nil, assigned >= 2, assigned < ServiceIDs.end else {
                throw QiError(.conflict, "\"\(info.name)\" was given the id \(assigned), which is taken here")
            }
            id = assigned
        } else if let known = wish(for: info, of: holder, at: now) {
            id = known
        } else if let next = numbers.take() {
            id = next
        } else {
            throw QiError(.limit, "this directory has given out all its ids: restart it")
        }
        numbers.take(id)
        var info = info.withoutNeighbours
        info.serviceID = id
        let isReturning = reserved.removeValue(forKey: info.name) != nil
        entries[id] = Entry(info: info, owner: owner, holder: holder, isReady: false, isReturning: isReturning)
        counts[owner, default: 0] += 1
        ids[info.name] = id
        return id
    }

    /// Gives what is kept for `holder` to the connection on which it came back, not ready yet; nil where nothing is.
    private mutating func takeUp(_ info: ServiceInfo, owner: Owner, holder: Holder) -> UInt32? {
        guard isKept(info.name, for: holder), let id = ids[info.name] else { return nil }
        var info = info.withoutNeighbours
        info.serviceID = id
        move(id, to: owner)
        entries[id]?.info = info
        entries[id]?.isReady = false
        entries[id]?.isReturning = true
        entries[id]?.isKept = true
        return id
    }

    /// A service is kept for its holder, whose connection is lost.
    mutating func keep(_ id: UInt32, of connection: UInt64) {
        move(id, to: .away(connection))
        entries[id]?.isReady = true
        entries[id]?.isKept = false
    }

    /// A service is another owner's from now on.
    private mutating func move(_ id: UInt32, to owner: Owner) {
        guard let before = entries[id]?.owner else { return }
        count(before, -1)
        count(owner, 1)
        entries[id]?.owner = owner
    }

    private mutating func count(_ owner: Owner, _ step: Int) {
        let now = (counts[owner] ?? 0) + step
        counts[owner] = now > 0 ? now : nil
    }

    /// A service, ready or not.
    func entry(named name: String) -> Entry? { ids[name].flatMap { entries[$0] } }

    /// How many services `owner` has registered.
    func count(of owner: Owner) -> Int { counts[owner] ?? 0 }

    /// Whether `owner` may register `info` now.
    func check(_ info: ServiceInfo, owner: Owner, holder: Holder, at now: NIODeadline = .now()) throws(QiError) {
        guard Self.isValid(name: info.name) else {
            throw QiError(
                .invalid, "Service name \"\(info.name)\" is not valid", hint: "use 1 to 255 of A-Z a-z 0-9 . _ ~ -")
        }
        if let id = ids[info.name], !isKept(info.name, for: holder) {
            throw QiError(
                .conflict, "Service \"\(info.name)\" (#\(id)) is already registered. Rejecting conflicting registration attempt.")
        }
        if let kept = reservation(info.name, at: now), !Self.isSame(kept, info, holder) {
            throw QiError(
                .conflict,
                "Service \"\(info.name)\" (#\(kept.id)) is kept for its owner of before this directory's restart: try again after \(Self.reservationTime.nanoseconds / 1_000_000_000) s")
        }
        try Self.check(endpoints: info.endpoints)
        // What a directory lists is bounded where it is read (``ServiceMirror``).
        guard owner == .upstream || counts[owner, default: 0] < maximumPerOwner else {
            throw QiError(.limit, "this connection has registered \(maximumPerOwner) services: unregister some")
        }
    }

    /// The id that a service had and may have again; nil when it is a new one.
    func wish(for info: ServiceInfo, of holder: Holder, at now: NIODeadline = .now()) -> UInt32? {
        if let kept = reservation(info.name, at: now), Self.isSame(kept, info, holder) { return kept.id }
        guard info.serviceID >= 2, entries[info.serviceID] == nil else { return nil }
        if let gone = past[info.name] ?? reserved[info.name], gone.id == info.serviceID, Self.isSame(gone, info, holder) { return gone.id }
        return numbers.mayGive(info.serviceID) ? info.serviceID : nil
    }

    /// Session and machine ids are public: they only tell apart principals that have proven nothing.
    private static func isSame(_ kept: DirectoryJournal.Registration, _ info: ServiceInfo, _ holder: Holder) -> Bool {
        // A record of an earlier version does not say whose the name is: it is kept for the inside.
        guard kept.holder.map({ $0 == holder }) ?? !holder.zone.isOutside else { return false }
        if holder.isProven { return true }
        return (kept.sessionID == info.sessionID && !kept.sessionID.isEmpty) || (kept.machineID == info.machineID && !kept.machineID.isEmpty)
    }

    private func reservation(_ name: String, at now: NIODeadline) -> DirectoryJournal.Registration? {
        now < reservedUntil ? reserved[name] : nil
    }

    /// Whether `name` was here before the restart and may still come back.
    func isAwaited(_ name: String, at now: NIODeadline = .now()) -> Bool {
        if reservation(name, at: now) != nil { return true }
        return ids[name].flatMap { entries[$0] }.map { !$0.isReady && $0.isReturning } ?? false
    }

    /// Whether anything waits for its owner of before the restart.
    var hasReservations: Bool { !reserved.isEmpty }

    /// The time of the reservations is over: the ids that nobody took up.
    mutating func expire() -> [UInt32] {
        let gone = reserved.values.sorted { $0.id < $1.id }
        reserved = [:]
        for registration in gone { remember(registration) }
        return gone.map(\.id)
    }

    private mutating func remember(_ registration: DirectoryJournal.Registration) {
        if past.updateValue(registration, forKey: registration.name) == nil { pastOrder.append(registration.name) }
        if pastOrder.count > Self.maximumPast, let oldest = pastOrder.popFirst() { past[oldest] = nil }
    }

    /// One endpoint that is no URI makes every libqi client refuse the whole answer (reference §19).
    private static func check(endpoints: [String]) throws(QiError) {
        let own = endpoints.count { !$0.hasPrefix("qi:") }
        guard own <= 64 else { throw QiError(.limit, "a service may have 64 endpoints, not \(own)") }
        for text in endpoints where Endpoint(text) == nil {
            throw QiError(.invalid, "the endpoint \"\(text)\" is not a URI", hint: "use for example tcp://127.0.0.1:40000")
        }
    }

    mutating func ready(_ id: UInt32, owner: Owner) throws(QiError) -> ServiceInfo {
        guard let entry = entries[id], !entry.isReady, entry.owner == owner else {
            throw QiError(.notFound, "Can't find pending service #\(id)")
        }
        entries[id]?.isReady = true
        entries[id]?.isKept = false
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
        let info = info.withoutNeighbours
        entries[info.serviceID]?.info = info
        for (id, entry) in entries where entry.isReady && entry.owner == owner && entry.info.sessionID == info.sessionID {
            entries[id]?.info.endpoints = info.endpoints
        }
    }

    /// The owner is gone: all it registered, ready or pending, in id order.
    mutating func removeAll(of owner: Owner) -> [Entry] {
        guard counts[owner] != nil else { return [] }
        let gone = entries.values.filter { $0.owner == owner }.sorted { $0.info.serviceID < $1.info.serviceID }
        for entry in gone { remove(entry.info.serviceID) }
        return gone
    }

    private mutating func remove(_ id: UInt32) {
        guard let entry = entries.removeValue(forKey: id) else { return }
        count(entry.owner, -1)
        ids[entry.info.name] = nil
        remember(DirectoryJournal.Registration(entry.info, entry.holder))
    }

    /// A service that is there as far as is known is away for now: it keeps its name and its id.
    mutating func suspend(_ id: UInt32) { entries[id]?.isReady = false }

    /// A ready service.
    func find(_ name: String) -> Entry? { ids[name].flatMap { entries[$0] }.flatMap { $0.isReady ? $0 : nil } }

    /// The ready services in id order.
    var ready: [Entry] { entries.values.filter(\.isReady).sorted { $0.info.serviceID < $1.info.serviceID } }
}

extension DirectoryJournal.Registration {
    /// What is remembered of `info`: not the identities that are longer than any real one.
    init(_ info: ServiceInfo, _ holder: DirectoryTable.Holder) {
        func bounded(_ text: String) -> String { text.utf8.count <= DirectoryJournal.maximumIdentity ? text : "" }
        self.init(
            id: info.serviceID, name: info.name, machineID: bounded(info.machineID), sessionID: bounded(info.sessionID),
            holder: DirectoryTable.Holder(principal: bounded(holder.principal), zone: holder.zone))
    }
}
