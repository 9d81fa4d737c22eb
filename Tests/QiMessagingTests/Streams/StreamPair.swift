import NIOCore
import QiWire

@testable import QiMessaging

/// Makes messages of the qi protocol.
enum StreamSample {
    static func message(
        _ kind: MessageKind, id: UInt32 = 1, service: UInt32 = 10, object: UInt32 = 1, action: UInt32 = 100, bytes: Int = 8,
        fill: UInt8 = 0, flags: MessageFlags = [], client: UInt64 = 0
    ) -> StreamMessage {
        var header = MessageHeader(
            id: id, payloadLength: UInt32(bytes), kind: kind, flags: flags,
            address: ActionAddress(service: service, object: object, action: action))
        header.payloadLength = UInt32(bytes)
        var frame = ByteBuffer()
        frame.writeMessage(header, payload: ByteBuffer(repeating: fill, count: bytes))
        var message = StreamMessage(header, StreamBytes(frame))
        message.client = client
        return message
    }

    /// An event, the number of those that it says were left out before it, and what is left when that is taken off.
    static func event(_ message: ByteBuffer) throws -> (header: MessageHeader, missed: Int, payload: ByteBuffer) {
        var rest = message
        guard let header = try rest.readMessageHeader() else { throw FuzzFinding("a message without a header") }
        try FuzzFinding.expect(Int(header.payloadLength) == rest.readableBytes, "a message of another length than its header says")
        guard header.flags.contains(.gap) else { return (header, 0, rest) }
        guard let missed = EventGap.take(from: &rest) else { throw FuzzFinding("a gap without its number") }
        return (header, missed, rest)
    }

    /// What is in a message, as it came.
    static func header(_ message: ByteBuffer) throws -> MessageHeader {
        guard let header = try message.peekMessageHeader() else { throw FuzzFinding("a message without a header") }
        return header
    }
}

/// Two sides of a stream, joined by paths that a test makes, cuts and lets wait: what travels is bytes, as on a channel.
struct StreamPair {
    struct Side {
        var machine: StreamStateMachine
        /// Bytes under way to this side on the path in use.
        var inbound = ByteBuffer()
        var taken: [ByteBuffer] = []
        /// Whether this side's owner reads.
        var reads = true
    }

    var now = NIODeadline.uptimeNanoseconds(1_000_000_000)
    var opener: Side
    var answerer: Side
    private(set) var isAttached = false

    init(_ limits: StreamStateMachine.Limits = StreamStateMachine.Limits()) {
        opener = Side(machine: StreamStateMachine(limits, longest: limits.receiving.message, at: now))
        answerer = Side(machine: StreamStateMachine(limits, longest: limits.receiving.message, at: now))
    }

    /// A new path, as the greetings make one: the answerer leaves its path when the hello comes, the opener when the welcome does.
    ///
    /// - Parameter meanwhile: how many bytes that were under way still reach the opener between the two.
    mutating func attach(meanwhile: Int = 0) throws {
        let told = opener.machine.receiver.received
        let window = opener.machine.receiver.window
        // While the hello is under way both go on with the path they have.
        if isAttached, meanwhile > 0 {
            try Self.deliver(&opener, at: now, most: meanwhile / 2)
            write(fromOpener: true, piece: 700, most: meanwhile)
            try Self.deliver(&answerer, at: now, most: meanwhile)
        }
        answerer.machine.detached(at: now)
        answerer.inbound.clear()
        let received = answerer.machine.receiver.received
        let other = answerer.machine.receiver.window
        let first = answerer.machine.sender.first(after: told)
        try answerer.machine.attached(peer: (told, Int(window)), first: received, at: now)
        if isAttached, meanwhile > 0 { try Self.deliver(&opener, at: now, most: meanwhile) }
        opener.machine.detached(at: now)
        opener.inbound.clear()
        try opener.machine.attached(peer: (received, Int(other)), first: first, at: now)
        isAttached = true
    }

    /// A new path that dies before the opener has its welcome: the answerer has gone over to it, and what it sends there is lost.
    ///
    /// - Parameter most: how many bytes the answerer sends there, and how many of the path before still reach the opener.
    mutating func attachInVain(piece: Int, most: Int) throws {
        let told = opener.machine.receiver.received
        answerer.machine.detached(at: now)
        answerer.inbound.clear()
        try answerer.machine.attached(
            peer: (told, Int(opener.machine.receiver.window)), first: answerer.machine.receiver.received, at: now)
        var lost = ByteBuffer()
        answerer.machine.write(to: &lost, piece: piece, most: most, at: now)
        if isAttached { try Self.deliver(&opener, at: now, most: most) }
        cut()
    }

    /// The path dies, with what is under way.
    mutating func cut() {
        opener.machine.detached(at: now)
        answerer.machine.detached(at: now)
        opener.inbound.clear()
        answerer.inbound.clear()
        isAttached = false
    }

    /// A side writes what it may, at most so many bytes at a time.
    mutating func write(fromOpener: Bool, piece: Int, most: Int) {
        if fromOpener {
            opener.machine.write(to: &answerer.inbound, piece: piece, most: answerer.inbound.readableBytes + most, at: now)
        } else {
            answerer.machine.write(to: &opener.inbound, piece: piece, most: opener.inbound.readableBytes + most, at: now)
        }
    }

    mutating func deliver(toOpener: Bool, most: Int = .max) throws {
        if toOpener { try Self.deliver(&opener, at: now, most: most) } else { try Self.deliver(&answerer, at: now, most: most) }
    }

    /// The first bytes under way arrive; frames that are not whole wait, as in a path's handler.
    private static func deliver(_ side: inout Side, at now: NIODeadline, most: Int) throws {
        var arrived = side.inbound.getSlice(at: side.inbound.readerIndex, length: min(most, side.inbound.readableBytes)) ?? ByteBuffer()
        let before = arrived.readableBytes
        while let frame = try StreamFrameCoding.read(from: &arrived) { try side.machine.received(frame, at: now) }
        side.inbound.moveReaderIndex(forwardBy: before - arrived.readableBytes)
        if side.inbound.readableBytes == 0 { side.inbound.clear() }
        take(&side)
    }

    static func take(_ side: inout Side) {
        while side.reads, let message = side.machine.popReady() { side.taken.append(message) }
    }

    /// Everything that can travel does, with a path that lives.
    mutating func settle() throws {
        for _ in 0..<10_000 {
            now = now + .seconds(3)
            let before = (opener.machine.sender.hasMore, answerer.machine.sender.hasMore)
            write(fromOpener: true, piece: 1 << 15, most: 1 << 20)
            write(fromOpener: false, piece: 1 << 15, most: 1 << 20)
            try deliver(toOpener: true)
            try deliver(toOpener: false)
            Self.take(&opener)
            Self.take(&answerer)
            if before == (false, false), !opener.machine.sender.isAwaiting, !answerer.machine.sender.isAwaiting { return }
        }
        throw FuzzFinding("the two sides do not come to rest")
    }
}

/// Numbers that a seed gives, the same each time.
struct SeededNumbers: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 0xD1B5_4A32_D192_ED03 }

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}
