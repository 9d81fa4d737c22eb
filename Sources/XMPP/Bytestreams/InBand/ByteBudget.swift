import DequeModule
import NIOCore

/// How many bytes of all bytestreams may be under way on one XMPP connection.
///
/// Servers do not refuse what is above their rate limit, they delay it, and everything behind it: presence and pings would
/// wait many seconds behind a tunnel. So no more is sent than drains in half a second, 16 KiB until that has been measured.
///
/// A block leaves the budget when it is answered, and also when anything sent *later* is: a server takes the stanzas of one
/// stream in order, so the block has left our uplink even if its reader takes its time. That way a bytestream whose reader
/// stalls is bounded by its own window and cannot starve the others. When only such blocks are left under way, nothing later
/// can be sent to prove it; then a ping to our own server does (``probe(at:)``). A pure value: time comes in with the events.
struct ByteBudget: Sendable {
    /// Names a block in the order of sending.
    struct Ticket: Hashable, Comparable, Sendable {
        fileprivate let number: UInt64

        static func < (left: Ticket, right: Ticket) -> Bool { left.number < right.number }
    }

    private struct Block {
        let ticket: Ticket
        let bytes: Int
        let sentAt: NIODeadline
        let drainedBefore: Int
        let wasBacklogged: Bool
    }

    /// Answers later than this are worth a probe.
    static let probeDelay = TimeAmount.milliseconds(250)

    /// Bytes that may be under way now.
    private(set) var limit: Int
    /// Bytes under way now.
    private(set) var bytesUnderWay = 0
    private let range: ClosedRange<Int>
    private var blocks = Deque<Block>()
    private var nextNumber: UInt64 = 0
    private var drained = 0
    private var bytesPerSecond: Double?
    private var isProbing = false

    /// A budget of `initial` bytes, later between `minimum` (one block) and `maximum`.
    init(initial: Int, minimum: Int, maximum: Int) {
        range = max(1, minimum)...max(1, minimum, maximum)
        limit = min(max(initial, range.lowerBound), range.upperBound)
    }

    /// Whether that many bytes may be sent. One block always may when nothing is under way.
    func allows(_ bytes: Int) -> Bool {
        bytesUnderWay == 0 || bytesUnderWay + bytes <= limit
    }

    /// A block goes out; `backlogged` tells whether more bytes wait behind it, without which its pace says little.
    mutating func sent(_ bytes: Int, backlogged: Bool, at now: NIODeadline) -> Ticket {
        let ticket = nextTicket()
        blocks.append(
            Block(ticket: ticket, bytes: bytes, sentAt: now, drainedBefore: drained, wasBacklogged: backlogged))
        bytesUnderWay += bytes
        return ticket
    }

    /// An answer came to what was sent under that ticket: it and everything before it has left our uplink.
    mutating func answered(_ ticket: Ticket, at now: NIODeadline) {
        while let first = blocks.first, first.ticket <= ticket {
            blocks.removeFirst()
            bytesUnderWay -= first.bytes
            drained += first.bytes
            if first.ticket == ticket { measure(first, at: now) }
        }
    }

    /// No answer will come to that block: it alone is taken out.
    mutating func gaveUp(_ ticket: Ticket) {
        guard let index = blocks.firstIndex(where: { $0.ticket == ticket }) else { return }
        bytesUnderWay -= blocks.remove(at: index).bytes
    }

    /// A ticket for a ping to our server, when the oldest block has been under way for long; nil when it has not, or when a
    /// probe is out already. To be asked only while bytes wait for the budget.
    mutating func probe(at now: NIODeadline) -> Ticket? {
        guard !isProbing, let oldest = blocks.first, now - oldest.sentAt >= ByteBudget.probeDelay else { return nil }
        isProbing = true
        return nextTicket()
    }

    /// The probe was answered, with whatever.
    mutating func probeAnswered(_ ticket: Ticket, at now: NIODeadline) {
        isProbing = false
        answered(ticket, at: now)
    }

    /// The probe was not answered in time.
    mutating func probeFailed() {
        isProbing = false
    }

    private mutating func nextTicket() -> Ticket {
        nextNumber += 1
        return Ticket(number: nextNumber)
    }

    private mutating func measure(_ block: Block, at now: NIODeadline) {
        let seconds = max(Double((now - block.sentAt).nanoseconds) / 1e9, 1e-5)
        let sample = Double(drained - block.drainedBefore) / seconds
        guard let known = bytesPerSecond else {
            guard block.wasBacklogged else { return }
            bytesPerSecond = sample
            limit = limit(for: sample)
            return
        }
        // A block with nothing behind it can only show that the path is faster than believed.
        guard block.wasBacklogged || sample > known else { return }
        let rate = known + (sample - known) / 4
        bytesPerSecond = rate
        limit = limit(for: rate)
    }

    private func limit(for bytesPerSecond: Double) -> Int {
        min(max(Int(min(bytesPerSecond / 2, 1e12)), range.lowerBound), range.upperBound)
    }
}
