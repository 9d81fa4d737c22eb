import DequeModule
import NIOCore

/// How many blocks of one bytestream may be sent and not acknowledged.
///
/// XEP-0047 allows several (§2.2) and says nothing of how many. The window starts small, grows by one for each window of
/// acknowledgements that came as fast as the fastest did, and shrinks by a quarter when they come clearly later: that is how
/// a server's rate limit shows, and how a reader that falls behind does. A pure value: time comes in with the events.
struct OutboundWindow: Sendable {
    private struct Block {
        let sequence: UInt16
        let sentAt: NIODeadline
    }

    /// Blocks that may be under way now, 1 to `maximum`.
    private(set) var size: Int
    private let maximum: Int
    private var blocks = Deque<Block>()
    private var goodAnswers = 0
    /// Whether the window has been full at this size; a window nobody fills need not grow.
    private var hasBeenFull = false
    private var answersBeforeNextShrink = 0
    private var roundTrip = RoundTripMinimum()

    /// A window of that size, which may grow to `maximum`.
    init(initial: Int, maximum: Int) {
        self.maximum = max(1, maximum)
        size = min(max(1, initial), self.maximum)
    }

    /// Blocks under way.
    var inFlight: Int { blocks.count }

    /// When the oldest block under way was sent.
    var oldest: NIODeadline? { blocks.first?.sentAt }

    /// Whether one more block may be sent.
    var hasRoom: Bool { blocks.count < size }

    /// A block went out.
    mutating func sent(sequence: UInt16, at now: NIODeadline) {
        blocks.append(Block(sequence: sequence, sentAt: now))
        if !hasRoom { hasBeenFull = true }
    }

    /// The acknowledgement of a block came. False when no such block is under way.
    mutating func acknowledged(sequence: UInt16, at now: NIODeadline) -> Bool {
        guard let index = blocks.firstIndex(where: { $0.sequence == sequence }) else { return false }
        let block = blocks.remove(at: index)
        judge(roundTrip: now - block.sentAt, at: now)
        return true
    }

    private mutating func judge(roundTrip sample: TimeAmount, at now: NIODeadline) {
        let least = roundTrip.including(sample, at: now)
        answersBeforeNextShrink = max(0, answersBeforeNextShrink - 1)
        // The constants are slack for a loaded machine: on loopback a round trip is 0.2 ms and its scatter ten times that.
        if sample.nanoseconds > 2 * least.nanoseconds + TimeAmount.milliseconds(20).nanoseconds {
            goodAnswers = 0
            guard answersBeforeNextShrink == 0 else { return }
            // Blocks already under way will come late too; they are one piece of news, not several.
            answersBeforeNextShrink = blocks.count + 1
            size = max(1, size - max(1, size / 4))
        } else if sample.nanoseconds <= least.nanoseconds * 5 / 4 + TimeAmount.milliseconds(5).nanoseconds {
            goodAnswers += 1
            guard goodAnswers >= size, hasBeenFull, size < maximum else { return }
            goodAnswers = 0
            hasBeenFull = false
            size += 1
        } else {
            goodAnswers = 0
        }
    }
}

/// The shortest round trip of the last 30 to 60 seconds, so that a path that became longer is believed in the end.
private struct RoundTripMinimum: Sendable {
    private static let period = TimeAmount.seconds(30)

    private var current: TimeAmount?
    private var previous: TimeAmount?
    private var periodEnd: NIODeadline?

    mutating func including(_ sample: TimeAmount, at now: NIODeadline) -> TimeAmount {
        if let periodEnd, now >= periodEnd {
            previous = current
            current = nil
            self.periodEnd = now + RoundTripMinimum.period
        } else if periodEnd == nil {
            periodEnd = now + RoundTripMinimum.period
        }
        let least = min(current ?? sample, sample)
        current = least
        return min(previous ?? least, least)
    }
}
