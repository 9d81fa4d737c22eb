import DequeModule
import NIOCore

/// Whose bytestream is set up next, of those that we open on one connection.
///
/// Setting one up costs a negotiation and, above it, a TLS handshake: some 3 kB each way. On a server that lets 3 kB a second through,
/// thirty at once would all take half a minute, and all time out. So only a few are young at one time, and the others wait, in the order in which
/// they were asked for and with a turn for each contact.
///
///     waiting ── a place is free ──▶ negotiating ── opened ──▶ young ── first bytes back, or 3 s later ──▶ done
///        └── too long: given up
///
/// A pure value: time comes in with the events.
struct OpeningTurns: Sendable {
    private struct Waiting {
        let contact: JID
        let until: NIODeadline
    }

    private let places: Int
    private let mostWaiting: Int
    private let patience: TimeAmount
    private let youth: TimeAmount
    private var waiting: [UInt64: Waiting] = [:]
    private var queues: [JID: Deque<UInt64>] = [:]
    private var contacts = FairTurns<JID>()
    private var negotiating = Set<UInt64>()
    /// Those that are open and have received nothing yet, and until when they count.
    private var young: [UInt64: NIODeadline] = [:]

    /// - Parameters:
    ///   - places: negotiations and young bytestreams at one time.
    ///   - mostWaiting: more are refused.
    ///   - patience: how long one may wait.
    ///   - youth: how long an open bytestream counts that receives nothing.
    init(places: Int, mostWaiting: Int, patience: TimeAmount, youth: TimeAmount) {
        self.places = max(1, places)
        self.mostWaiting = mostWaiting
        self.patience = patience
        self.youth = youth
    }

    /// How many wait.
    var count: Int { waiting.count }

    /// How many wait for that contact, a bare address.
    func count(of contact: JID) -> Int { queues[contact]?.count ?? 0 }

    /// What becomes of a wish for a bytestream.
    enum OnAsk: Equatable {
        /// It is negotiated now.
        case begin
        /// Its turn comes.
        case wait
        /// Too many wait.
        case refuse
    }

    /// A bytestream to that contact, a bare address, is wanted.
    mutating func asked(_ number: UInt64, for contact: JID, at now: NIODeadline) -> OnAsk {
        if waiting.isEmpty, hasPlace {
            negotiating.insert(number)
            return .begin
        }
        guard waiting.count < mostWaiting else { return .refuse }
        waiting[number] = Waiting(contact: contact, until: now + patience)
        queues[contact, default: []].append(number)
        contacts.wait(contact)
        return .wait
    }

    /// The next one to be negotiated; nil when no place is free or none waits.
    mutating func next() -> UInt64? {
        guard hasPlace, let contact = contacts.next(), let number = queues[contact]?.popFirst() else { return nil }
        waiting[number] = nil
        if queues[contact]?.isEmpty == true { queues[contact] = nil } else { contacts.wait(contact) }
        negotiating.insert(number)
        return number
    }

    /// A negotiation has ended with a bytestream.
    mutating func opened(_ number: UInt64, at now: NIODeadline) {
        if negotiating.remove(number) != nil { young[number] = now + youth }
    }

    /// It is over, given up, or has received its first bytes.
    mutating func left(_ number: UInt64) {
        negotiating.remove(number)
        young[number] = nil
        guard let waited = waiting.removeValue(forKey: number) else { return }
        queues[waited.contact]?.removeAll { $0 == number }
        guard queues[waited.contact]?.isEmpty == true else { return }
        queues[waited.contact] = nil
        contacts.remove(waited.contact)
    }

    /// Time went by: those that have waited too long. They are forgotten.
    mutating func ticked(at now: NIODeadline) -> [UInt64] {
        for (number, until) in young where until <= now { young[number] = nil }
        let late = waiting.filter { $0.value.until <= now }.keys.sorted()
        for number in late { left(number) }
        return late
    }

    private var hasPlace: Bool { negotiating.count + young.count < places }
}
