import DequeModule
import NIOCore

/// Who has come in at a gateway: how many connections there are, from where, and which have not proven who they are (``ListenerLimits``).
/// Pure.
struct AdmissionTable {
    enum OnConnecting: Equatable {
        /// It may go on, under this number; `evicting` has had its time.
        case admit(UInt64, evicting: UInt64?)
        case refuse(Refusal)
    }

    enum Refusal: String {
        case connections = "too many connections"
        case connectionsFromAddress = "too many connections from this address"
        case rate = "connections from this address come too fast"
    }

    private struct Entry {
        let place: [UInt8]
        var isProven = false
    }

    private struct Place {
        var connections = 0
        /// In the order of their coming; those that are proven or gone are skipped.
        var unproven: Deque<UInt64> = []
        var unprovenCount = 0
        var rate: TokenBucket
    }

    private let limits: ListenerLimits
    private var entries: [UInt64: Entry] = [:]
    private var places: [[UInt8]: Place] = [:]
    private var unproven: Deque<UInt64> = []
    private var unprovenCount = 0
    private var nextID: UInt64 = 1

    /// Places that have nobody connected are remembered for their rate, up to this many.
    private static let maximumPlaces = 16_384

    init(_ limits: ListenerLimits) { self.limits = limits }

    var count: Int { entries.count }
    var countUnproven: Int { unprovenCount }
    var placesRemembered: Int { places.count }

    mutating func connecting(from place: [UInt8], at now: NIODeadline) -> OnConnecting {
        if places[place] == nil, places.count >= Self.maximumPlaces { forgetQuiet() }
        var here = places[place] ?? Place(rate: TokenBucket(limits, at: now))
        defer { places[place] = here }
        guard here.rate.take(at: now) == nil else { return .refuse(.rate) }
        guard here.connections < limits.maximumConnectionsPerAddress else { return .refuse(.connectionsFromAddress) }
        guard entries.count < limits.maximumConnections else { return .refuse(.connections) }
        let id = nextID
        nextID += 1
        let evicted =
            here.unprovenCount >= limits.maximumUnprovenPerAddress
            ? oldest(in: here.unproven) : unprovenCount >= limits.maximumUnproven ? oldest(in: unproven) : nil
        entries[id] = Entry(place: place)
        here.connections += 1
        here.unprovenCount += 1
        here.unproven.append(id)
        unproven.append(id)
        unprovenCount += 1
        Self.trim(&here.unproven, here.unprovenCount, entries)
        Self.trim(&unproven, unprovenCount, entries)
        return .admit(id, evicting: evicted)
    }

    /// It has proven who it is.
    mutating func proven(_ id: UInt64) {
        guard let entry = entries[id], !entry.isProven else { return }
        entries[id]?.isProven = true
        places[entry.place]?.unprovenCount -= 1
        unprovenCount -= 1
    }

    mutating func closed(_ id: UInt64) {
        guard let entry = entries.removeValue(forKey: id) else { return }
        places[entry.place]?.connections -= 1
        guard !entry.isProven else { return }
        places[entry.place]?.unprovenCount -= 1
        unprovenCount -= 1
    }

    private func oldest(in queue: Deque<UInt64>) -> UInt64? { queue.first { entries[$0]?.isProven == false } }

    /// Keeps a queue from growing with those that are through.
    private static func trim(_ queue: inout Deque<UInt64>, _ count: Int, _ entries: [UInt64: Entry]) {
        guard queue.count > 2 * count + 16 else { return }
        queue = Deque(queue.filter { entries[$0]?.isProven == false })
    }

    /// Forgets where nobody is; at the worst a place has its burst anew.
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
