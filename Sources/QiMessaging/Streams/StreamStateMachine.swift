import NIOCore
import QiWire

/// One side of a device stream, without its channels: what is written to a path, what a path brings, and what time does.
///
///     waiting ──attached──▶ attached ──detached──▶ waiting ──too long──▶ (expired)
///        └───────────────────── end received, or a fault ─────────────────▶ (ended)
///
/// A path is a reliable ordered channel that may die at any moment. Each begins with both sides telling how many numbered frames they have
/// received; the rest is sent again. A pure value.
struct StreamStateMachine {
    struct Limits {
        var receiving = StreamReceiver.Limits()
        var liveness = StreamLiveness.Times()
        /// How long the stream lives without a path.
        var resume = TimeAmount.minutes(2)
        /// How long a confirmation may wait for something that it can travel with.
        var confirmation = TimeAmount.seconds(2)
        /// Bytes that are confirmed at once, if that is less than a quarter of the window: a peer keeps few on a path that is narrow, or
        /// followed by one (``PathWidth/unconfirmed``).
        var confirmed = 16 << 10
    }

    private enum Path {
        case waiting(since: NIODeadline)
        case attached(StreamLiveness)
    }

    let limits: Limits
    private(set) var sender = StreamSender()
    private(set) var receiver: StreamReceiver
    private var path: Path
    /// When something last came on the path before.
    private var heardBefore: NIODeadline?
    private var confirmationDue: NIODeadline?
    /// The last one of the peer; a peer that sends many gets one answer to all.
    private var pong: UInt64?
    private var ping: UInt64?
    /// Answers to our pings, on all paths.
    private(set) var pongs = 0
    /// The last round trip that was measured, on whatever path.
    private(set) var lastRoundTrip: TimeAmount?

    /// - Parameter longest: the longest message until the peer has logged in.
    init(_ limits: Limits, longest: Int, at now: NIODeadline) {
        self.limits = limits
        receiver = StreamReceiver(limits.receiving, longest: longest)
        path = .waiting(since: now)
    }

    var isAttached: Bool { if case .attached = path { true } else { false } }

    /// The round trip that was measured on the path in use.
    var roundTrip: TimeAmount? { if case .attached(let liveness) = path { liveness.roundTrip } else { nil } }

    /// When something last came on the path in use; nil while there is none.
    var lastHeard: NIODeadline? { if case .attached(let liveness) = path { liveness.heard } else { nil } }

    /// When something last came, on whatever path; nil when none was there yet.
    var lastHeardOnAnyPath: NIODeadline? { lastHeard ?? heardBefore }

    // MARK: Paths

    /// A path is there: both sides have told how far they have come.
    ///
    /// - Parameters:
    ///   - peer: frames of ours that the peer has, and the bytes that it takes unconfirmed.
    ///   - first: the number of the first frame that the peer sends on it.
    ///   - question: after how much silence it is asked, with something unanswered, if that is less than the limits say.
    /// - Throws: when the peer cannot be right.
    mutating func attached(
        peer: (received: UInt64, window: Int), first: UInt64, question: TimeAmount? = nil, at now: NIODeadline
    ) throws(StreamFault) {
        guard first <= receiver.received else { throw StreamFault("it begins with frame \(first), and \(receiver.received) have come") }
        try sender.resume(from: peer.received, window: peer.window)
        receiver.resume(from: first)
        if receiver.hasNews { confirmationDue = now }
        var times = limits.liveness
        times.question = min(question ?? times.question, times.question)
        path = .attached(StreamLiveness(times, at: now))
        pong = nil
        ping = nil
        _ = tick(at: now)
    }

    /// The path is gone.
    mutating func detached(at now: NIODeadline) {
        guard case .attached(let liveness) = path else { return }
        heardBefore = liveness.heard
        path = .waiting(since: now)
    }

    // MARK: Sending

    mutating func append(_ message: StreamMessage) -> UInt64 { sender.append(message) }

    mutating func end(_ reason: String) { sender.end(reason) }

    mutating func withdraw(callOf id: UInt32, to target: ObjectAddress) -> StreamMessage? { sender.withdraw(callOf: id, to: target) }

    mutating func withdraw(answerTo id: UInt32, of target: ObjectAddress, longerThan least: Int) -> StreamMessage? {
        sender.withdraw(answerTo: id, of: target, longerThan: least)
    }

    /// So many bytes may be unconfirmed on the path in use, or fewer.
    mutating func keep(most: Int) { sender.mostKept = most }

    /// Whether something is to be written now.
    func hasToWrite(at now: NIODeadline) -> Bool {
        isAttached && (ping != nil || pong != nil || sender.maySend || isConfirmationDue(now))
    }

    private func isConfirmationDue(_ now: NIODeadline) -> Bool {
        guard receiver.hasNews else { return false }
        if receiver.ended != nil { return true }
        return confirmationDue.map { $0 <= now } ?? false || receiver.untoldBytes >= min(limits.receiving.window / 4, limits.confirmed)
    }

    /// Appends frames for the path until `buffer` holds `most` bytes or nothing is left.
    ///
    /// - Parameter piece: how many bytes of a message may go into one frame.
    mutating func write(to buffer: inout ByteBuffer, piece: Int, most: Int, at now: NIODeadline) {
        guard case .attached(var liveness) = path else { return }
        if receiver.hasNews {
            StreamFrameCoding.write(.confirm(receiver.tell()), to: &buffer)
            confirmationDue = nil
        }
        if let token = pong { StreamFrameCoding.write(.pong(token), to: &buffer) }
        if let token = ping { StreamFrameCoding.write(.ping(token), to: &buffer) }
        pong = nil
        ping = nil
        while buffer.readableBytes < most, let frame = sender.next(piece) { StreamFrameCoding.write(frame, to: &buffer) }
        liveness.isAwaiting(sender.isAwaiting, at: now)
        path = .attached(liveness)
    }

    // MARK: Receiving

    /// Bytes came on the path in use, though perhaps not a whole frame.
    mutating func heard(at now: NIODeadline) {
        guard case .attached(var liveness) = path else { return }
        liveness.received(at: now)
        path = .attached(liveness)
    }

    /// A frame came on the path in use. Messages wait in ``popReady(at:)`` then.
    ///
    /// - Parameter elsewhere: bytes of messages that have begun and not ended on other streams of the device.
    /// - Throws: when the peer breaks a rule.
    mutating func received(_ frame: StreamFrame, elsewhere: Int = 0, at now: NIODeadline) throws(StreamFault) {
        guard case .attached(var liveness) = path else { return }
        receiver.unfinishedElsewhere = elsewhere
        liveness.received(at: now)
        switch frame {
        case .numbered(let frame):
            try receiver.take(frame)
            if confirmationDue == nil { confirmationDue = now + limits.confirmation }
        case .confirm(let number):
            try sender.confirm(number)
            liveness.isAwaiting(sender.isAwaiting, at: now)
        case .ping(let token): pong = token
        case .pong(let token):
            if let sample = liveness.pong(token, at: now) {
                pongs += 1
                lastRoundTrip = sample
            }
            liveness.isAwaiting(sender.isAwaiting, at: now)
        case .hello, .welcome, .refused: throw StreamFault("a greeting in the middle of a path")
        }
        path = .attached(liveness)
    }

    mutating func popReady() -> ByteBuffer? { receiver.popReady() }

    /// What is ready goes on waiting for its reader.
    mutating func keepReady() { receiver.keepReady() }

    /// The peer has logged in: messages may be as long as the limits say.
    mutating func loggedIn() { receiver.longest = limits.receiving.message }

    // MARK: Time

    enum OnTick: Equatable {
        case nothing
        /// Nothing comes from the path any more.
        case pathIsDead
        /// There was no path for too long.
        case expired
    }

    mutating func tick(at now: NIODeadline) -> OnTick {
        switch path {
        case .waiting(let since): return now - since >= limits.resume ? .expired : .nothing
        case .attached(var liveness):
            defer { if isAttached { path = .attached(liveness) } }
            switch liveness.tick(at: now) {
            case .nothing: return .nothing
            case .ping(let token):
                ping = token
                return .nothing
            case .dead: return .pathIsDead
            }
        }
    }

    /// Asks the path for its round trip now.
    mutating func ask(at now: NIODeadline) {
        guard case .attached(var liveness) = path else { return }
        if case .ping(let token) = liveness.ask(now) { ping = token }
        path = .attached(liveness)
    }

    /// When ``tick(at:)`` and ``hasToWrite(at:)`` are to be asked at the latest.
    func deadline(from now: NIODeadline) -> NIODeadline {
        switch path {
        case .waiting(let since): return since + limits.resume
        case .attached(let liveness):
            let next = liveness.deadline(from: now)
            guard receiver.hasNews, let due = confirmationDue else { return next }
            return max(now, min(next, due))
        }
    }
}
