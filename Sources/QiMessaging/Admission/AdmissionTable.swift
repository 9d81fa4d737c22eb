import DequeModule
import NIOCore

/// Who has come in at a gate: how many connections there are, who holds them, and which have not proven who they are
/// (``ListenerLimits``). A place is held by an address until the client has proven who it is, and by its identity from then on. Pure.
///
/// When all places are taken, a newcomer gets that of the largest holder: known principals take one from strangers first, and from one
/// another only where the holder has more than the newcomer would have. Strangers leave a part of all places to known principals.
struct AdmissionTable {
    /// Who holds places.
    enum Holder: Hashable {
        /// Clients from there that have proven nothing.
        case place([UInt8])
        /// The processes of a user of this machine.
        case user(UInt32)
        case principal(Principal.Identity)
    }

    enum OnConnecting: Equatable {
        /// It may go on, under this number; `evicting` has had its time.
        case admit(UInt64, evicting: UInt64?)
        case refuse(Refusal)
    }

    enum OnProving: Equatable {
        /// It may stay; `evicting` gives its place.
        case stay(evicting: UInt64?)
        case refuse(Refusal)
    }

    enum Refusal: String {
        case connections = "too many connections"
        case connectionsFromAddress = "too many connections from this address"
        case connectionsOfPrincipal = "too many connections with this identity"
        case rate = "connections from this address come too fast"
    }

    private struct Entry {
        /// nil where the kernel told who it is.
        let place: [UInt8]?
        /// nil while it has not proven who it is.
        var holder: Holder?
    }

    private struct Place {
        var connections = 0
        /// In the order of their coming; those that are proven or gone are skipped.
        var unproven: Deque<UInt64> = []
        var unprovenCount = 0
        var rate: TokenBucket
    }

    private struct Holding {
        let isKnown: Bool
        var connections: Set<UInt64> = []
    }

    let limits: ListenerLimits
    private var entries: [UInt64: Entry] = [:]
    private var places: [[UInt8]: Place] = [:]
    private var holdings: [Holder: Holding] = [:]
    private var strangers = 0
    private var unproven: Deque<UInt64> = []
    private var unprovenCount = 0
    private var nextID: UInt64 = 1

    /// Places without a connection are remembered for their rate, up to this many.
    private static let maximumPlaces = 16_384

    init(_ limits: ListenerLimits) { self.limits = limits }

    var count: Int { entries.count }
    var countUnproven: Int { unprovenCount }
    var placesRemembered: Int { places.count }

    func connections(of holder: Holder) -> Int { holdings[holder]?.connections.count ?? 0 }

    // MARK: - Events

    /// A connection that has to prove who it is.
    mutating func connecting(from place: [UInt8], at now: NIODeadline) -> OnConnecting {
        if places[place] == nil, places.count >= Self.maximumPlaces { forgetQuiet() }
        var here = places[place] ?? Place(rate: TokenBucket(limits, at: now))
        defer { places[place] = here }
        guard here.rate.take(at: now) == nil else { return .refuse(.rate) }
        let evicted =
            here.unprovenCount >= limits.maximumUnprovenPerAddress
            ? oldest(in: here.unproven) : unprovenCount >= limits.maximumUnproven ? oldest(in: unproven) : nil
        let id = add(Entry(place: place, holder: nil))
        here.connections += 1
        here.unprovenCount += 1
        here.unproven.append(id)
        unproven.append(id)
        unprovenCount += 1
        Self.trim(&here.unproven, here.unprovenCount, entries)
        Self.trim(&unproven, unprovenCount, entries)
        return .admit(id, evicting: evicted)
    }

    /// A connection whose holder the kernel told.
    mutating func connecting(as holder: Holder, isKnown: Bool) -> OnConnecting {
        switch room(for: holder, isKnown: isKnown) {
        case .refuse(let refusal): return .refuse(refusal)
        case .stay(let evicted):
            let id = add(Entry(place: nil, holder: holder))
            hold(id, holder, isKnown)
            return .admit(id, evicting: evicted)
        }
    }

    /// It is through the handshake: `identity` is what it has proven, nil where nothing was asked of it.
    mutating func proven(_ id: UInt64, as identity: Principal.Identity?) -> OnProving {
        guard let entry = entries[id], entry.holder == nil, let place = entry.place else { return .stay(evicting: nil) }
        let holder = identity.map { Holder.principal($0) } ?? .place(place)
        let outcome = room(for: holder, isKnown: identity != nil)
        guard case .stay = outcome else { return outcome }
        entries[id]?.holder = holder
        places[place]?.unprovenCount -= 1
        unprovenCount -= 1
        hold(id, holder, identity != nil)
        return outcome
    }

    mutating func closed(_ id: UInt64) {
        guard let entry = entries.removeValue(forKey: id) else { return }
        if let place = entry.place { places[place]?.connections -= 1 }
        if let holder = entry.holder {
            holdings[holder]?.connections.remove(id)
            if holdings[holder]?.isKnown == false { strangers -= 1 }
            if holdings[holder]?.connections.isEmpty == true { holdings[holder] = nil }
        } else if let place = entry.place {
            places[place]?.unprovenCount -= 1
            unprovenCount -= 1
        }
    }

    /// The connection that goes when the process has no descriptor left: the longest one of the largest holder, strangers first. nil
    /// when every holder has one only, and for the known users of this machine, whose services are not to end for a shortage.
    func spare() -> UInt64? {
        if let stranger = largest(amongKnown: false), stranger.count > 1 { return stranger.oldest }
        if unprovenCount > 1 { return oldest(in: unproven) }
        guard let known = largest(amongKnown: true, withLocal: false), known.count > 1 else { return nil }
        return known.oldest
    }

    // MARK: - Room

    private func room(for holder: Holder, isKnown: Bool) -> OnProving {
        let own = connections(of: holder)
        let isPlace = if case .place = holder { true } else { false }
        guard own < (isPlace ? limits.maximumConnectionsPerAddress : limits.maximumConnectionsPerPrincipal) else {
            return .refuse(isPlace ? .connectionsFromAddress : .connectionsOfPrincipal)
        }
        let isFull = entries.count - unprovenCount >= limits.maximumConnections
        if isKnown {
            guard isFull else { return .stay(evicting: nil) }
            if let stranger = largest(amongKnown: false) { return .stay(evicting: stranger.oldest) }
        } else {
            guard isFull || strangers >= limits.maximumStrangers else { return .stay(evicting: nil) }
        }
        guard let other = largest(amongKnown: isKnown), other.count > own + 1 else { return .refuse(.connections) }
        return .stay(evicting: other.oldest)
    }

    private func largest(amongKnown isKnown: Bool, withLocal: Bool = true) -> (count: Int, oldest: UInt64)? {
        var most: Set<UInt64> = []
        for (holder, holding) in holdings where holding.isKnown == isKnown && holding.connections.count > most.count {
            if case .user = holder, !withLocal { continue }
            most = holding.connections
        }
        return most.min().map { (most.count, $0) }
    }

    private mutating func add(_ entry: Entry) -> UInt64 {
        defer { nextID += 1 }
        entries[nextID] = entry
        return nextID
    }

    private mutating func hold(_ id: UInt64, _ holder: Holder, _ isKnown: Bool) {
        holdings[holder, default: Holding(isKnown: isKnown)].connections.insert(id)
        if holdings[holder]?.isKnown == false { strangers += 1 }
    }

    private func oldest(in queue: Deque<UInt64>) -> UInt64? { queue.first { isUnproven($0, entries) } }

    private func isUnproven(_ id: UInt64, _ entries: [UInt64: Entry]) -> Bool { entries[id].map { $0.holder == nil } ?? false }

    /// Keeps a queue from growing with those that are through.
    private static func trim(_ queue: inout Deque<UInt64>, _ count: Int, _ entries: [UInt64: Entry]) {
        guard queue.count > 2 * count + 16 else { return }
        queue = Deque(queue.filter { id in entries[id].map { $0.holder == nil } ?? false })
    }

    /// Forgets places without connections; at the worst a place has its burst anew.
    private mutating func forgetQuiet() { places = places.filter { $0.value.connections > 0 } }
}

extension TokenBucket {
    /// A bucket that holds a burst and fills at the lasting rate.
    fileprivate init(_ limits: ListenerLimits, at now: NIODeadline) {
        let burst = max(limits.burst, 1)
        let interval = Duration.seconds(Double(burst) / Double(max(limits.connectionsPerSecond, 1)))
        self.init(PrincipalLimits.Rate(burst, per: interval), at: now)
    }
}
