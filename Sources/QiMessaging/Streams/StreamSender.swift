import DequeModule
import NIOCore
import QiWire

/// The outgoing half of a device stream: numbers frames, keeps them until they are confirmed, and sends those again on a new path that the
/// peer has not received. A pure value.
///
///     confirmed ≤ the cursor ≤ numbered
///     frames from the first to the last of these are kept; those from the cursor on are sent on the path in use
struct StreamSender {
    private var kept = Deque<StreamNumbered>()
    private var lanes = StreamLanes()
    private var serials = StreamSerials()
    /// Frames that the peer has confirmed.
    private(set) var confirmed: UInt64 = 0
    /// The next frame that goes out on the path in use.
    private(set) var cursor: UInt64 = 0
    /// Bytes of frames that are kept, and of those that were confirmed altogether.
    private(set) var keptBytes = 0
    private(set) var confirmedBytes: UInt64 = 0
    /// Bytes the peer takes unconfirmed.
    private var window = 0
    /// Most bytes that are kept, whatever the peer takes (``PathWidth/unconfirmed``).
    var mostKept = PathWidth.mostUnconfirmed
    /// Frames that go out before the lanes: withdrawals, the end.
    private var urgent = Deque<StreamNumbered>()
    private(set) var hasEnded = false

    /// Frames numbered so far.
    var numbered: UInt64 { confirmed + UInt64(kept.count) }
    /// Whether frames wait for the peer's confirmation.
    var isAwaiting: Bool { !kept.isEmpty }
    /// Bytes that have not left.
    var queuedBytes: Int { lanes.bytes }
    var largestQueued: Int { lanes.largest }
    /// Whether anything waits for the path or for the window.
    var hasMore: Bool { cursor < numbered || !urgent.isEmpty || !lanes.isEmpty || endReason != nil }
    /// Whether something may leave.
    var maySend: Bool { cursor < numbered || (hasMore && hasRoom) }
    private var hasRoom: Bool { keptBytes < min(window, mostKept) }

    /// Bytes of events that wait, beside the one, if any, that a later one of that signal would take the place of.
    func queuedEventBytes(besides address: ActionAddress?) -> Int {
        lanes.eventBytes - (address.map { lanes.replaceableBytes(at: $0) } ?? 0)
    }

    /// Queues a message. Its serial: that of an earlier one, if it takes its place.
    mutating func append(_ message: StreamMessage) -> UInt64 {
        var message = message
        message.serial = serials.next
        let serial = lanes.append(message)
        if serial == message.serial { serials.begin() }
        return serial
    }

    /// Whether a call or post of a client waits.
    func holds(messagesOf client: UInt64) -> Bool { lanes.holds(messagesOf: client) }

    /// Messages of which everything has left: all with a lower serial.
    var sentUpTo: UInt64 { serials.doneUpTo }
    /// The serial of the next message.
    var nextSerial: UInt64 { serials.next }

    /// Nothing is queued any more; what waits is still sent, then this.
    mutating func end(_ reason: String) {
        guard !hasEnded else { return }
        hasEnded = true
        endReason = reason
    }

    private var endReason: String?

    /// The next frame for the path, with a piece of at most `most` bytes of a message; nil when there is none, or no room for it at the
    /// peer.
    mutating func next(_ most: Int) -> StreamNumbered? {
        if cursor < numbered {
            let frame = kept[Int(cursor - confirmed)]
            cursor += 1
            if claimed > confirmed { release() }
            return frame
        }
        guard hasRoom else { return nil }
        let frame: StreamNumbered
        if let first = urgent.popFirst() {
            frame = first
        } else if let (piece, done) = lanes.next(max(1, min(most, StreamFrameCoding.maximumPiece))) {
            if let done { serials.end(done) }
            frame = piece
        } else if let reason = endReason {
            endReason = nil
            frame = .end(reason)
        } else {
            return nil
        }
        kept.append(frame)
        keptBytes += frame.cost
        cursor += 1
        return frame
    }

    /// The peer has taken so many frames.
    ///
    /// - Throws: when that is more than was sent, or less than it said before.
    mutating func confirm(_ number: UInt64) throws(StreamFault) {
        guard number >= claimed else { throw StreamFault("it confirms \(number) frames, and confirmed \(claimed) before") }
        guard number <= numbered else { throw StreamFault("it confirms \(number) frames of \(numbered) that were sent") }
        claimed = number
        release()
    }

    /// Frames that the peer has confirmed, some of them perhaps on the path before, after its greeting for this one had left: these are sent
    /// again all the same, since frames of a path are counted from its first.
    private var claimed: UInt64 = 0

    private mutating func release() {
        while confirmed < min(claimed, cursor), let frame = kept.popFirst() {
            confirmed += 1
            keptBytes -= frame.cost
            confirmedBytes += UInt64(frame.cost)
        }
    }

    /// The first frame that goes out on a new path to a peer that has so many: that one, or a later one that it has confirmed on the path
    /// before while its greeting was under way.
    func first(after received: UInt64) -> UInt64 { max(received, confirmed) }

    /// A new path: the peer has so many frames, and takes so many bytes unconfirmed.
    ///
    /// - Throws: when it claims frames that were not sent.
    mutating func resume(from number: UInt64, window: Int) throws(StreamFault) {
        guard number <= numbered else { throw StreamFault("it claims \(number) frames of \(numbered) that were sent") }
        cursor = first(after: number)
        self.window = window
    }

    // MARK: Withdrawing

    /// Takes a call of that id back. Nil when all of it has left; else nothing of it, or not all, reaches the peer's objects.
    mutating func withdraw(callOf id: UInt32, to target: ObjectAddress) -> StreamMessage? {
        taken(lanes.withdraw(callOf: id, to: target))
    }

    /// Takes an answer back, if it is `least` bytes or longer.
    mutating func withdraw(answerTo id: UInt32, of target: ObjectAddress, longerThan least: Int) -> StreamMessage? {
        guard least == 0 || lanes.largest > least else { return nil }
        return taken(lanes.withdraw(from: .answer(id: id, target)) { $0.id == id && Int($0.payloadLength) > least })
    }

    /// Whether an answer has not all left.
    func holds(answerTo id: UInt32, of target: ObjectAddress) -> Bool { lanes.holds(.answer(id: id, target)) }

    /// A message was taken out of its lane: the peer is told, if some of it has left.
    private mutating func taken(_ withdrawn: StreamLanes.Withdrawn?) -> StreamMessage? {
        guard let withdrawn else { return nil }
        serials.end(withdrawn.message.serial)
        if let drop = withdrawn.drop { urgent.append(drop) }
        return withdrawn.message
    }
}

/// Which messages have left, though not in the order in which they came.
struct StreamSerials {
    private var done = Deque<Bool>()
    /// All before this have left.
    private(set) var doneUpTo: UInt64 = 0

    var next: UInt64 { doneUpTo + UInt64(done.count) }

    /// The next one waits.
    mutating func begin() { done.append(false) }

    mutating func end(_ serial: UInt64) {
        guard serial >= doneUpTo, serial < next else { return }
        done[Int(serial - doneUpTo)] = true
        while done.first == true {
            done.removeFirst()
            doneUpTo += 1
        }
    }
}
