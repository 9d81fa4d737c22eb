import NIOCore
import QiWire

/// What is important about a message, most important first.
enum StreamPriority: Int, CaseIterable {
    /// The connection itself, cancellations.
    case control
    /// Calls, posts and answers.
    case calls
    case events
    /// What is left of a long message, whatever it is.
    case bulk

    /// Its share of a path that is too narrow for all. Control is not weighed.
    var weight: Double {
        switch self {
        case .control: .infinity
        case .calls: 8
        case .events: 4
        case .bulk: 2
        }
    }
}

/// What keeps its order: messages of one lane leave in the order in which they were sent, messages of two lanes in any.
enum StreamLane: Hashable {
    /// The connection itself, cancellations.
    case control
    /// Calls and posts of one client to one object, whose order libqi's clients rely on; 0 is this process.
    case calls(ObjectAddress, client: UInt64)
    /// Events of one object, and the answers to subscriptions to it: no event may be there before the answer that tells its link.
    case events(ObjectAddress)
    /// One answer: a small one of an object does not wait for a large one of the same object.
    case answer(id: UInt32, ObjectAddress)

    /// - Parameter client: whom a call or post is from.
    init(_ header: MessageHeader, client: UInt64 = 0) {
        let target = header.address.target
        switch header.kind {
        case _ where target == .connection: self = .control
        case .cancel, .capability: self = .control
        case .call, .post: self = .calls(target, client: client)
        case .event: self = .events(target)
        case _ where target == .serviceDirectory: self = .events(target)
        default:
            switch header.address.action {
            case WellKnownActions.registerEvent, WellKnownActions.unregisterEvent, WellKnownActions.registerEventWithSignature:
                self = .events(target)
            default: self = .answer(id: header.id, target)
            }
        }
    }

    /// Who takes turns with others for it.
    var party: StreamParty { if case .calls(_, let client) = self { .client(client) } else { .peer } }

    /// What a short message of this lane is.
    var priority: StreamPriority {
        switch self {
        case .control: .control
        case .calls, .answer: .calls
        case .events(.serviceDirectory): .calls
        case .events: .events
        }
    }
}

extension MessageHeader {
    /// Whether it answers a subscription, behind which the events of that come.
    var confirmsSubscription: Bool {
        guard kind == .reply else { return false }
        return address.action == WellKnownActions.registerEvent || address.action == WellKnownActions.registerEventWithSignature
    }
}

/// A message on its way out.
struct StreamMessage {
    var header: MessageHeader
    /// Header included; what was sent of it is gone.
    var bytes: StreamBytes
    /// Counts the messages of a stream.
    var serial: UInt64 = 0
    /// Whom a call or post is from; 0: this process.
    var client: UInt64 = 0
    /// The name of its pieces; nil until the first of several has left.
    var number: UInt32?

    init(_ header: MessageHeader, _ bytes: StreamBytes) {
        self.header = header
        self.bytes = bytes
    }
}

/// Finds the messages in what a connection writes.
struct StreamMessageSplitter {
    private let longest: Int
    private var message: StreamMessage?
    private var missing = 0
    /// The beginning of a header.
    private var rest = ByteBuffer()

    /// - Parameter longest: the longest message, header included.
    init(longest: Int) { self.longest = longest }

    /// Takes bytes, and hands over each message that is complete with them.
    ///
    /// - Throws: when they are no messages of the qi protocol, or one is too long.
    mutating func append(_ bytes: ByteBuffer, _ found: (StreamMessage) -> Void) throws(WireError) {
        var bytes = bytes
        while bytes.readableBytes > 0 {
            if message != nil {
                complete(&bytes, found)
                continue
            }
            if rest.readableBytes > 0 {
                // A header in two writes: not of a connection of ours.
                var start = bytes.readSlice(length: min(bytes.readableBytes, MessageHeader.length - rest.readableBytes)) ?? ByteBuffer()
                rest.writeBuffer(&start)
                guard let header = try rest.peekMessageHeader() else { continue }
                try begin(header, rest)
                rest = ByteBuffer()
            } else {
                guard let header = try bytes.peekMessageHeader() else {
                    rest = bytes
                    return
                }
                let length = min(bytes.readableBytes, MessageHeader.length + Int(header.payloadLength))
                try begin(header, bytes.readSlice(length: length) ?? ByteBuffer())
            }
            if missing == 0 { hand(found) }
        }
    }

    private mutating func begin(_ header: MessageHeader, _ bytes: ByteBuffer) throws(WireError) {
        let length = MessageHeader.length + Int(header.payloadLength)
        guard length <= longest else { throw WireError(.limit, "a message of \(length) bytes; \(longest) are the most") }
        message = StreamMessage(header, StreamBytes(bytes))
        missing = length - bytes.readableBytes
    }

    private mutating func complete(_ bytes: inout ByteBuffer, _ found: (StreamMessage) -> Void) {
        guard let part = bytes.readSlice(length: min(missing, bytes.readableBytes)) else { return }
        message?.bytes.append(part)
        missing -= part.readableBytes
        if missing == 0 { hand(found) }
    }

    private mutating func hand(_ found: (StreamMessage) -> Void) {
        guard let complete = message else { return }
        message = nil
        found(complete)
    }
}
