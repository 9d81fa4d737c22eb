import NIOCore

/// The server's side of a SOCKS5 handshake (RFC 1928) at a streamhost of ours, which connects to nothing: the destination is the name of
/// a bytestream (XEP-0065 §5.3.2).
///
///     greeting ── method 0 offered ──▶ request ── CONNECT to 40 hex digits, port 0 ──▶ deciding ── granted ──▶ connected
///
/// Every state may go to `ended`. A pure value: bytes go in as they come, ``next()`` says what follows until it says `wait`. Holds at most
/// what one read brought and an unfinished message of at most 262 bytes before it.
struct SOCKS5ServerStateMachine: Sendable {
    private enum State: Equatable {
        case greeting, request
        case deciding(String)
        case connected, ended
    }

    private var state = State.greeting
    private var buffer = ByteBuffer()

    /// Bytes came.
    mutating func received(_ bytes: ByteBuffer) { buffer.writeImmutableBuffer(bytes) }

    /// What follows from the bytes that have come.
    enum OnBytes: Equatable {
        /// Nothing until more have come.
        case wait
        case send(ByteBuffer)
        /// Say whether that bytestream may be joined: ``decided(isGranted:)``. 40 hexadecimal digits, lower case.
        case decide(String)
        /// Send that, which may be empty, and close.
        case fail(SOCKS5Fault, answer: ByteBuffer)
    }

    /// The next step. To be called until it waits, asks or has failed.
    mutating func next() -> OnBytes {
        switch state {
        case .greeting: greeted()
        case .request: requested()
        case .deciding, .connected, .ended: .wait
        }
    }

    /// What follows from a decision.
    enum OnDecision: Equatable {
        /// Send that; the connection is the application's, and these bytes came with the request.
        case connected(answer: ByteBuffer, rest: ByteBuffer)
        /// Send that and close.
        case fail(SOCKS5Fault, answer: ByteBuffer)
        /// The connection has ended meanwhile, or nothing was asked.
        case nothing
    }

    /// The bytestream may be joined, or not.
    mutating func decided(isGranted: Bool) -> OnDecision {
        guard case .deciding(let name) = state else { return .nothing }
        guard isGranted else {
            state = .ended
            return .fail(.destination, answer: SOCKS5ServerStateMachine.refusal(2))
        }
        state = .connected
        let rest = buffer.slice()
        buffer = ByteBuffer()
        // The destination is repeated (XEP-0065 §5.3.2).
        return .connected(answer: ByteBuffer(bytes: [5, 0, 0, 3, 40] + Array(name.utf8) + [0, 0]), rest: rest)
    }

    /// The connection closed. The fault when that was too early.
    mutating func closed() -> SOCKS5Fault? {
        guard state != .connected, state != .ended else { return nil }
        state = .ended
        return .closed
    }

    private mutating func greeted() -> OnBytes {
        guard let version = buffer.peek(0) else { return .wait }
        // Another protocol would not understand an answer.
        guard version == 5 else { return end(.version(version), answer: ByteBuffer()) }
        guard let count = buffer.peek(1), buffer.readableBytes >= 2 + Int(count) else { return .wait }
        let methods = buffer.getBytes(at: buffer.readerIndex + 2, length: Int(count)) ?? []
        guard methods.contains(0) else { return end(.method(0xFF), answer: ByteBuffer(bytes: [5, 0xFF])) }
        buffer.moveReaderIndex(forwardBy: 2 + Int(count))
        state = .request
        return .send(ByteBuffer(bytes: [5, 0]))
    }

    private mutating func requested() -> OnBytes {
        guard let version = buffer.peek(0) else { return .wait }
        guard version == 5 else { return end(.version(version), answer: ByteBuffer()) }
        guard let command = buffer.peek(1) else { return .wait }
        guard command == 1 else { return end(.command(command), answer: SOCKS5ServerStateMachine.refusal(7)) }
        guard let type = buffer.peek(3) else { return .wait }
        guard type == 3 else { return end(.addressType(type), answer: SOCKS5ServerStateMachine.refusal(8)) }
        guard let length = buffer.peek(4), buffer.readableBytes >= 7 + Int(length) else { return .wait }
        let name = (buffer.getString(at: buffer.readerIndex + 5, length: Int(length)) ?? "").lowercased()
        let port: UInt16? = buffer.getInteger(at: buffer.readerIndex + 5 + Int(length))
        guard port == 0, StreamDigest.isValid(name) else { return end(.destination, answer: SOCKS5ServerStateMachine.refusal(2)) }
        buffer.moveReaderIndex(forwardBy: 7 + Int(length))
        state = .deciding(name)
        return .decide(name)
    }

    private mutating func end(_ fault: SOCKS5Fault, answer: ByteBuffer) -> OnBytes {
        state = .ended
        buffer.clear()
        return .fail(fault, answer: answer)
    }

    /// A refusal without an address (RFC 1928 §6).
    private static func refusal(_ code: UInt8) -> ByteBuffer { ByteBuffer(bytes: [5, code, 0, 1, 0, 0, 0, 0, 0, 0]) }
}
