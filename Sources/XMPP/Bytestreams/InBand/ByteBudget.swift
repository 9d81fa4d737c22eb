import DequeModule
import NIOCore

/// How many bytes of all bytestreams may be under way on one XMPP connection, and how fast they drain.
///
/// Servers do not refuse what is above their rate limit, they delay it, and everything behind it: presence and pings would
/// wait many seconds behind a tunnel. So no more is under way than drains in about three quarters of a second. Bytes are those of whole
/// stanzas, for these are what servers count.
///
///     open ──── a block waited for 250 ms longer than the way takes ────▶ paced
///     open ◀─── a quarter of a second found no queue, until the limit is 128 KiB ─── paced
///
/// - `open`: no queue was seen. The limit starts small and stays so for the first 24 kB, as many servers let the first 20 kB or so pass at
///   any speed and what is under way when these are gone has to drain; then it grows by a quarter of what was answered without delay.
/// - `paced`: the limit is what drains in that time beyond the round trip. How fast that is, a ping to our own server tells that is
///   sent behind the blocks: its answer waits for our uplink and for nothing else, while a peer's acknowledgement waits for the peer's
///   uplink and for its reader too. The limit grows beyond that when 24 kB have left without a queue.
///
/// A block leaves the budget when it is answered, and also when anything sent *later* is: a server takes the stanzas of one
/// stream in order, so the block has left our uplink even if its reader takes its time. That way a bytestream whose reader
/// stalls is bounded by its own window and cannot starve the others. A pure value: time comes in with the events.
struct ByteBudget: Sendable {
    /// Names a block, or a ping, in the order of sending.
    struct Ticket: Hashable, Comparable, Sendable {
        fileprivate let number: UInt64

        static func < (left: Ticket, right: Ticket) -> Bool { left.number < right.number }
    }

    private struct Block {
        let ticket: Ticket
        let bytes: Int
        let stream: UInt64
        let sentAt: NIODeadline
        let drainedBefore: Int
        let wasBacklogged: Bool
    }

    private struct Probe {
        let ticket: Ticket
        let sentAt: NIODeadline
        let drainedBefore: Int
    }

    /// What ``drained`` was at a moment since when there was always something under way.
    private struct Mark {
        let at: NIODeadline
        let drained: Int
    }

    private enum Path {
        case open
        /// `pings` that have told the rate so far.
        case paced(bytesPerSecond: Double, pings: Int)
    }

    /// Answers later than this show a queue, and are worth a probe.
    static let probeDelay = TimeAmount.milliseconds(250)
    /// How long after a probe the next one goes out where the rate is known: each takes from what there is.
    static let laterDelay = TimeAmount.milliseconds(500)
    /// A ping that was answered sooner has found no queue.
    private static let noQueue = TimeAmount.milliseconds(100)
    /// Seconds that what is under way may take to drain.
    private static let patience = 0.75
    /// Bytes that a server may let pass at any speed when a connection is new, or was idle (ejabberd's shaper as it is shipped: 20 000).
    private static let burst = 24_000
    /// For how long a rate is measured, at least.
    private static let measured = TimeAmount.seconds(1)
    /// A path on which so many bytes may be under way is not worth pacing.
    private static let wide = 128 * 1024
    /// So many pings have to agree before others are told of the rate: a single delay may have been anything.
    private static let pingsToBeSure = 2

    /// Bytes that may be under way now.
    private(set) var limit: Int
    /// Bytes under way now.
    private(set) var bytesUnderWay = 0
    /// When the rate was measured last.
    private(set) var measuredAt: NIODeadline?
    private let range: ClosedRange<Int>
    private var initial: Int
    private var path = Path.open
    private var blocks = Deque<Block>()
    private var nextNumber: UInt64 = 0
    private var drained = 0
    /// When blocks were last known to have left.
    private var drainedAt = NIODeadline.uptimeNanoseconds(0)
    /// At the answers to pings, for as far back as a rate is measured; the first is that much older.
    private var marks = Deque<Mark>()
    /// What ``drained`` was when the connection was new, or a queue was last seen.
    private var drainedBefore = 0
    private var isPastBurst: Bool { drained - drainedBefore >= ByteBudget.burst }
    private var probe: Probe?
    private var lastProbe: NIODeadline?
    /// The shortest round trip of each bytestream, and of all.
    private var floors: [UInt64: RoundTripFloor] = [:]
    private var floor = RoundTripFloor()

    /// A budget of `initial` bytes, later between `minimum` and `maximum`.
    init(initial: Int, minimum: Int, maximum: Int) {
        range = max(1, minimum)...max(1, minimum, maximum)
        self.initial = min(max(initial, range.lowerBound), range.upperBound)
        limit = self.initial
    }

    /// Bytes of stanzas that drain in a second; nil while the path is not known to be narrow.
    var bytesPerSecond: Double? {
        guard case .paced(let rate, let pings) = path, pings >= ByteBudget.pingsToBeSure else { return nil }
        return rate
    }

    /// Whether the path is narrow, as far as is known, or nothing has shown that it is wide. On another one a queue is to show.
    var mayBeNarrow: Bool { if case .paced = path { true } else { limit <= initial } }

    /// The limit when something is late on such a path: the burst may be over, and no more is added to what waits until that is known.
    private var cautious: Int { max(range.lowerBound, initial / 2) }

    /// Whether that many bytes may be sent. One block always may when nothing is under way.
    func allows(_ bytes: Int) -> Bool {
        bytesUnderWay == 0 || bytesUnderWay + bytes <= limit
    }

    /// A block of a bytestream goes out; `backlogged` tells whether more bytes wait behind it, without which its pace says little.
    mutating func sent(_ bytes: Int, of stream: UInt64, backlogged: Bool, at now: NIODeadline) -> Ticket {
        if blocks.isEmpty, now - drainedAt >= ByteBudget.noQueue { marks = [Mark(at: now, drained: drained)] }
        let ticket = nextTicket()
        blocks.append(
            Block(ticket: ticket, bytes: bytes, stream: stream, sentAt: now, drainedBefore: drained, wasBacklogged: backlogged))
        bytesUnderWay += bytes
        return ticket
    }

    /// An answer came to what was sent under that ticket: it and everything before it has left our uplink.
    mutating func answered(_ ticket: Ticket, at now: NIODeadline) {
        guard let block = drain(through: ticket, at: now) else { return }
        let delay = now - block.sentAt
        floor.include(delay, at: now)
        let least = floors[block.stream, default: RoundTripFloor()].include(delay, at: now)
        guard block.wasBacklogged, case .open = path else { return }
        if delay - least < ByteBudget.probeDelay {
            if mayBeNarrow { limit = delay - least < ByteBudget.noQueue ? initial : cautious }
            if isPastBurst { widen(by: block.bytes / 4) }
        } else {
            paced(at: rate(since: block.drainedBefore, over: delay), pings: 0, now)
        }
    }

    /// No answer will come to that block: it alone is taken out.
    mutating func gaveUp(_ ticket: Ticket) {
        guard let index = blocks.firstIndex(where: { $0.ticket == ticket }) else { return }
        bytesUnderWay -= blocks.remove(at: index).bytes
    }

    /// That bytestream is over.
    mutating func ended(_ stream: UInt64) { floors[stream] = nil }

    /// A new connection to the same server: nothing is under way, and a narrow path is still taken for one.
    mutating func reconnected(initial: Int) {
        blocks = []
        bytesUnderWay = 0
        drainedBefore = drained
        drainedAt = .uptimeNanoseconds(0)
        marks = []
        self.initial = min(max(initial, range.lowerBound), range.upperBound)
        probe = nil
        lastProbe = nil
        floors = [:]
        floor = RoundTripFloor()
        switch path {
        case .open: limit = self.initial
        case .paced(let rate, _): limit = limit(for: rate)
        }
    }

    // MARK: Pings

    /// A ticket for a ping to our server; nil when none is needed, or when one is out already. To be asked only while bytes wait.
    ///
    /// Four times a second at most, twice when the rate is known, on an open path only when the oldest block has been under way for long.
    mutating func probe(at now: NIODeadline) -> Ticket? {
        guard probe == nil, let oldest = blocks.first else { return nil }
        if let lastProbe, now - lastProbe < (bytesPerSecond == nil ? ByteBudget.probeDelay : ByteBudget.laterDelay) { return nil }
        if case .open = path {
            guard now - oldest.sentAt >= ByteBudget.probeDelay else { return nil }
            if mayBeNarrow { limit = cautious }
        }
        let ticket = nextTicket()
        lastProbe = now
        probe = Probe(ticket: ticket, sentAt: now, drainedBefore: drained)
        return ticket
    }

    /// The probe was answered, with whatever.
    mutating func probeAnswered(_ ticket: Ticket, at now: NIODeadline) {
        guard let sent = probe, sent.ticket == ticket else { return }
        probe = nil
        if case .open = path { limit = max(limit, initial) }
        drain(through: ticket, at: now)
        let delay = now - sent.sentAt
        let queueing = delay - floor.include(delay, at: now)
        switch path {
        case .open:
            if queueing >= ByteBudget.probeDelay {
                paced(at: rate(since: sent.drainedBefore, over: delay), pings: 1, now)
            } else if queueing < ByteBudget.noQueue, isPastBurst, drained - sent.drainedBefore >= limit / 2 {
                // On a long way pings are answered sooner than blocks.
                widen(by: limit / 2)
            }
        case .paced(let known, let pings):
            let sample = lately(at: now)
            guard sample > 0 else { return }
            if queueing < ByteBudget.noQueue, sample >= known {
                // What passes at first says nothing of what follows.
                if isPastBurst { widen(by: limit / 2) }
            } else if pings == 0 {
                paced(at: sample, pings: 1, now)
            } else {
                // What is slower is believed sooner: too much under way delays everything.
                paced(at: known + (sample - known) / (sample < known ? 2 : 4), pings: min(pings + 1, ByteBudget.pingsToBeSure), now)
            }
        }
    }

    /// The probe was not answered in time.
    mutating func probeFailed() { probe = nil }

    // MARK: Parts

    private mutating func nextTicket() -> Ticket {
        nextNumber += 1
        return Ticket(number: nextNumber)
    }

    /// Takes out everything up to that ticket. The block of that ticket, if it was still there.
    @discardableResult
    private mutating func drain(through ticket: Ticket, at now: NIODeadline) -> Block? {
        var last: Block?
        if let first = blocks.first, first.ticket <= ticket { drainedAt = now }
        while let first = blocks.first, first.ticket <= ticket {
            blocks.removeFirst()
            bytesUnderWay -= first.bytes
            drained += first.bytes
            last = first
        }
        return last?.ticket == ticket ? last : nil
    }

    private func rate(since drainedBefore: Int, over delay: TimeAmount) -> Double {
        Double(drained - drainedBefore) / max(Double(delay.nanoseconds) / 1e9, 1e-5)
    }

    /// Bytes that have drained in a second, over the last second or since the path was idle: blocks leave one by one, and pings are sent
    /// long after some of them, so that a shorter time would say more or less as it happens.
    private mutating func lately(at now: NIODeadline) -> Double {
        while marks.count > 1, now - marks[1].at >= ByteBudget.measured { marks.removeFirst() }
        defer { marks.append(Mark(at: now, drained: drained)) }
        guard let first = marks.first else { return 0 }
        return rate(since: first.drained, over: now - first.at)
    }

    private mutating func paced(at bytesPerSecond: Double, pings: Int, _ now: NIODeadline) {
        measuredAt = now
        if case .open = path { marks = [Mark(at: now, drained: drained)] }
        drainedBefore = drained
        path = .paced(bytesPerSecond: bytesPerSecond, pings: pings)
        let measured = limit(for: bytesPerSecond)
        // The first samples may have seen the end of a burst, which was quick: they narrow, and do not widen.
        limit = pings < ByteBudget.pingsToBeSure ? min(limit, measured) : measured
        openIfWide()
    }

    private mutating func widen(by bytes: Int) {
        let old = limit
        limit = min(limit + max(bytes, 1), range.upperBound)
        if case .paced(let rate, let pings) = path {
            path = .paced(bytesPerSecond: rate * Double(limit) / Double(max(old, 1)), pings: pings)
        }
        openIfWide()
    }

    private mutating func openIfWide() {
        if limit >= min(ByteBudget.wide, range.upperBound) { path = .open }
    }

    private func limit(for bytesPerSecond: Double) -> Int {
        let seconds = ByteBudget.patience + Double(floor.least?.nanoseconds ?? 0) / 1e9
        return min(max(Int(min(bytesPerSecond * seconds, 1e12)), range.lowerBound), range.upperBound)
    }
}
