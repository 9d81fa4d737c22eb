import DequeModule
import NIOCore

/// One in-band bytestream after its negotiation (XEP-0047): sequence numbers, windows, acknowledgements, close.
///
/// States:
/// - `open`: blocks travel both ways.
/// - `finishing`: our side closed; what was flushed before is still sent. Blocks that come are not read any more, and their
///   requests wait for the end: an error now would make the peer drop what it has not received yet.
/// - `draining`: the peer closed; what it sent before is still read and acknowledged, nothing is sent any more.
/// - `closed`.
///
/// The two directions count their blocks apart, 0 to 65535 and round again (§2.2). A received block is acknowledged when the
/// channel has given its bytes to its handlers, not before, so a reader that stalls stalls its sender. The machine holds the
/// ids of the requests that wait for that and hands each out exactly once.
struct IBBStateMachine: ~Copyable {
    /// Blocks that came and are not read yet.
    private struct Inbound {
        let window: Int
        var nextSequence: UInt16 = 0
        var unread = Deque<String>()
    }

    /// Blocks that went out.
    private struct Outbound {
        var nextSequence: UInt16 = 0
        var window: OutboundWindow
    }

    private enum State: ~Copyable {
        case open(Inbound, Outbound)
        case finishing(Inbound, Outbound)
        case draining(Inbound)
        case closed
    }

    private var state: State

    /// An open bytestream.
    init(window: OutboundWindow, receiveWindow: Int) {
        self.init(.open(Inbound(window: receiveWindow), Outbound(window: window)))
    }

    private init(_ state: consuming State) {
        self.state = state
    }

    // MARK: Receiving

    /// What to do with a block that came.
    enum OnData: Equatable {
        /// Give its bytes to the channel.
        case deliver
        /// Drop its bytes; nobody will read them. Its request is answered at the end.
        case drop
        /// Answer with that error; the bytestream stays as it is.
        case refuse(StanzaError)
        /// Answer with that error and end the bytestream; the requests still unanswered get `item-not-found`.
        case fail(StanzaError, unanswered: [String], reason: String)
    }

    /// A block came. `sequence` is nil when the attribute is missing or no number; `isIntact` is false for text that is not
    /// base64 or holds more than a block.
    mutating func received(id: String, sequence: UInt16?, isIntact: Bool) -> OnData {
        switch consume state {
        case .open(var inbound, let outbound):
            // A block that is lost is a hole in the stream, so none of these can be survived (XEP-0047 §2.2).
            if let (error, reason) = IBBStateMachine.fault(of: sequence, isIntact: isIntact, in: inbound) {
                self = IBBStateMachine(.closed)
                return .fail(error, unanswered: Array(inbound.unread), reason: reason)
            }
            inbound.nextSequence &+= 1
            inbound.unread.append(id)
            self = IBBStateMachine(.open(inbound, outbound))
            return .deliver
        case .finishing(var inbound, let outbound):
            if let (error, reason) = IBBStateMachine.fault(of: sequence, isIntact: isIntact, in: inbound) {
                self = IBBStateMachine(.closed)
                return .fail(error, unanswered: Array(inbound.unread), reason: reason)
            }
            inbound.nextSequence &+= 1
            inbound.unread.append(id)
            self = IBBStateMachine(.finishing(inbound, outbound))
            return .drop
        case .draining(let inbound):
            self = IBBStateMachine(.draining(inbound))
            return .refuse(.itemNotFound)
        case .closed:
            self = IBBStateMachine(.closed)
            return .refuse(.itemNotFound)
        }
    }

    private static func fault(of sequence: UInt16?, isIntact: Bool, in inbound: Inbound) -> (StanzaError, String)? {
        guard let sequence else { return (.badRequest, "a block without a sequence number") }
        guard sequence == inbound.nextSequence else {
            return (.unexpectedRequest, "block \(sequence) instead of \(inbound.nextSequence)")
        }
        guard isIntact else { return (.badRequest, "a block that is not base64 or too large") }
        guard inbound.unread.count < inbound.window else {
            return (.resourceConstraint, "more than \(inbound.window) blocks that nobody had read")
        }
        return nil
    }

    /// The channel has given that many blocks to its handlers: the requests to acknowledge, oldest first.
    mutating func delivered(blocks count: Int) -> [String] {
        switch consume state {
        case .open(var inbound, let outbound):
            let ids = IBBStateMachine.take(count, of: &inbound)
            self = IBBStateMachine(.open(inbound, outbound))
            return ids
        case .draining(var inbound):
            let ids = IBBStateMachine.take(count, of: &inbound)
            self = IBBStateMachine(.draining(inbound))
            return ids
        case .finishing(let inbound, let outbound):
            self = IBBStateMachine(.finishing(inbound, outbound))
            return []
        case .closed:
            self = IBBStateMachine(.closed)
            return []
        }
    }

    private static func take(_ count: Int, of inbound: inout Inbound) -> [String] {
        let taken = Array(inbound.unread.prefix(count))
        inbound.unread.removeFirst(taken.count)
        return taken
    }

    // MARK: Sending

    /// Whether a block may go out now.
    var maySend: Bool {
        switch state {
        case .open(_, let outbound): outbound.window.hasRoom
        case .finishing(_, let outbound): outbound.window.hasRoom
        case .draining: false
        case .closed: false
        }
    }

    /// Whether blocks that were sent still matter.
    var isSending: Bool {
        switch state {
        case .open: true
        case .finishing: true
        case .draining: false
        case .closed: false
        }
    }

    /// Since when a block that still matters has not been acknowledged.
    var unacknowledgedSince: NIODeadline? {
        switch state {
        case .open(_, let outbound): outbound.window.oldest
        case .finishing(_, let outbound): outbound.window.oldest
        case .draining: nil
        case .closed: nil
        }
    }

    /// Takes the next sequence number for a block that goes out now; nil when none may.
    mutating func nextBlock(at now: NIODeadline) -> UInt16? {
        switch consume state {
        case .open(let inbound, var outbound):
            let sequence = IBBStateMachine.takeSequence(of: &outbound, at: now)
            self = IBBStateMachine(.open(inbound, outbound))
            return sequence
        case .finishing(let inbound, var outbound):
            let sequence = IBBStateMachine.takeSequence(of: &outbound, at: now)
            self = IBBStateMachine(.finishing(inbound, outbound))
            return sequence
        case .draining(let inbound):
            self = IBBStateMachine(.draining(inbound))
            return nil
        case .closed:
            self = IBBStateMachine(.closed)
            return nil
        }
    }

    private static func takeSequence(of outbound: inout Outbound, at now: NIODeadline) -> UInt16? {
        guard outbound.window.hasRoom else { return nil }
        let sequence = outbound.nextSequence
        outbound.nextSequence &+= 1
        outbound.window.sent(sequence: sequence, at: now)
        return sequence
    }

    /// The acknowledgement of a block came. True when another block may go out now.
    mutating func acknowledged(sequence: UInt16, at now: NIODeadline) -> Bool {
        switch consume state {
        case .open(let inbound, var outbound):
            let isKnown = outbound.window.acknowledged(sequence: sequence, at: now)
            let mayGoOn = isKnown && outbound.window.hasRoom
            self = IBBStateMachine(.open(inbound, outbound))
            return mayGoOn
        case .finishing(let inbound, var outbound):
            let isKnown = outbound.window.acknowledged(sequence: sequence, at: now)
            let mayGoOn = isKnown && outbound.window.hasRoom
            self = IBBStateMachine(.finishing(inbound, outbound))
            return mayGoOn
        case .draining(let inbound):
            self = IBBStateMachine(.draining(inbound))
            return false
        case .closed:
            self = IBBStateMachine(.closed)
            return false
        }
    }

    // MARK: Ending

    /// What an end means for the requests that wait.
    enum OnEnd: Equatable {
        /// It had ended before.
        case ignore
        /// It is over now: those requests get `item-not-found`.
        case ended(unanswered: [String])
        /// It goes on in one direction.
        case goesOn
    }

    /// Our channel closed; `bytesWait` tells whether flushed bytes are still to be sent.
    mutating func closed(bytesWait: Bool) -> OnEnd {
        switch consume state {
        case .open(let inbound, let outbound):
            guard bytesWait else {
                // Nobody will read these blocks any more; acknowledging them would be a lie.
                self = IBBStateMachine(.closed)
                return .ended(unanswered: Array(inbound.unread))
            }
            self = IBBStateMachine(.finishing(inbound, outbound))
            return .goesOn
        case .finishing(let inbound, let outbound):
            self = IBBStateMachine(.finishing(inbound, outbound))
            return .ignore
        case .draining(let inbound):
            self = IBBStateMachine(.closed)
            return .ended(unanswered: Array(inbound.unread))
        case .closed:
            self = IBBStateMachine(.closed)
            return .ignore
        }
    }

    /// The last flushed byte went out. If that ends the bytestream: the requests that get `item-not-found`.
    mutating func sentEverything() -> [String]? {
        switch consume state {
        case .open(let inbound, let outbound):
            self = IBBStateMachine(.open(inbound, outbound))
            return nil
        case .draining(let inbound):
            self = IBBStateMachine(.draining(inbound))
            return nil
        case .finishing(let inbound, _):
            self = IBBStateMachine(.closed)
            return Array(inbound.unread)
        case .closed:
            self = IBBStateMachine(.closed)
            return nil
        }
    }

    /// The peer closed in good order (`<close/>`, or a session-terminate without a complaint).
    mutating func receivedClose() -> OnEnd {
        switch consume state {
        case .open(let inbound, _):
            // Also with nothing unread: the channel still has to be told, and says when it is done.
            self = IBBStateMachine(.draining(inbound))
            return .goesOn
        case .finishing(let inbound, _):
            self = IBBStateMachine(.closed)
            return .ended(unanswered: Array(inbound.unread))
        case .draining(let inbound):
            self = IBBStateMachine(.draining(inbound))
            return .ignore
        case .closed:
            self = IBBStateMachine(.closed)
            return .ignore
        }
    }

    /// The bytestream is lost: its connection, its peer or its order.
    mutating func lost() -> OnEnd {
        switch consume state {
        case .open(let inbound, _):
            self = IBBStateMachine(.closed)
            return .ended(unanswered: Array(inbound.unread))
        case .draining(let inbound):
            self = IBBStateMachine(.closed)
            return .ended(unanswered: Array(inbound.unread))
        case .finishing(let inbound, _):
            self = IBBStateMachine(.closed)
            return .ended(unanswered: Array(inbound.unread))
        case .closed:
            self = IBBStateMachine(.closed)
            return .ignore
        }
    }
}
