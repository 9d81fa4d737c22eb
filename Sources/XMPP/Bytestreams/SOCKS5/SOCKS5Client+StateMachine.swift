import NIOCore

/// The client's side of a SOCKS5 handshake (RFC 1928) that asks for a connection to a named destination.
///
///     idle ── begin ──▶ greeted ── method 0 ──▶ requested ── reply 0 ──▶ connected
///                          └── method 2 ──▶ authenticating ── status 0 ──▶ requested
///
/// Every state may go to `ended`. A pure value: bytes go in as they come, ``next()`` says what follows until it says `wait`. Holds at most
/// what one read brought and an unfinished message of at most 262 bytes before it.
struct SOCKS5ClientStateMachine: Sendable {
    /// Name and password (RFC 1929 §2), 1 to 255 bytes each.
    struct Credentials: Hashable, Sendable {
        let name: String
        let password: String
    }

    private enum State {
        case idle, greeted, authenticating, requested, connected, ended
    }

    private var state = State.idle
    private var buffer = ByteBuffer()
    private let domain: String
    private let port: UInt16
    private let credentials: Credentials?

    /// - Parameters:
    ///   - domain: the destination as a name, 1 to 255 bytes.
    ///   - credentials: method 2 is offered with them, and never without.
    /// - Throws: `.tooLong` for what does not fit.
    init(domain: String, port: UInt16, credentials: Credentials? = nil) throws(SOCKS5Fault) {
        let texts = [domain] + (credentials.map { [$0.name, $0.password] } ?? [])
        guard texts.allSatisfy({ 1...255 ~= $0.utf8.count }) else { throw .tooLong }
        self.domain = domain
        self.port = port
        self.credentials = credentials
    }

    /// The TCP connection is there. The greeting to send (RFC 1928 §3); nil when it was sent before.
    mutating func begin() -> ByteBuffer? {
        guard state == .idle else { return nil }
        state = .greeted
        return ByteBuffer(bytes: credentials == nil ? [5, 1, 0] : [5, 2, 0, 2])
    }

    /// Bytes came.
    mutating func received(_ bytes: ByteBuffer) { buffer.writeImmutableBuffer(bytes) }

    /// What follows from the bytes that have come.
    enum OnBytes: Equatable {
        /// Nothing until more have come.
        case wait
        case send(ByteBuffer)
        /// The connection is the application's; these bytes of the destination came with the reply.
        case connected(ByteBuffer)
        /// Close.
        case fail(SOCKS5Fault)
    }

    /// The next step. To be called until it waits, is connected or has failed.
    mutating func next() -> OnBytes {
        do throws(SOCKS5Fault) {
            switch state {
            case .greeted: return try methodChosen()
            case .authenticating: return try authenticated()
            case .requested: return try replied()
            case .idle, .connected, .ended: return .wait
            }
        } catch {
            state = .ended
            buffer.clear()
            return .fail(error)
        }
    }

    /// The connection closed. The fault when that was too early.
    mutating func closed() -> SOCKS5Fault? {
        guard state != .connected, state != .ended else { return nil }
        state = .ended
        return .closed
    }

    private mutating func methodChosen() throws(SOCKS5Fault) -> OnBytes {
        guard let version = buffer.peek(0) else { return .wait }
        guard version == 5 else { throw .version(version) }
        guard let method = buffer.peek(1) else { return .wait }
        buffer.moveReaderIndex(forwardBy: 2)
        switch (method, credentials) {
        case (0, _):
            state = .requested
            return .send(request)
        case (2, let credentials?):
            state = .authenticating
            let texts = [credentials.name, credentials.password]
            return .send(ByteBuffer(bytes: [1] + texts.flatMap(SOCKS5ClientStateMachine.lengthed)))
        default: throw .method(method)
        }
    }

    private mutating func authenticated() throws(SOCKS5Fault) -> OnBytes {
        guard let status = buffer.peek(1) else { return .wait }
        buffer.moveReaderIndex(forwardBy: 2)
        guard status == 0 else { throw .credentials }
        state = .requested
        return .send(request)
    }

    private mutating func replied() throws(SOCKS5Fault) -> OnBytes {
        guard let version = buffer.peek(0) else { return .wait }
        guard version == 5 else { throw .version(version) }
        guard let code = buffer.peek(1) else { return .wait }
        // A refusal may be followed by a close at once, and not every server sends all of it.
        guard code == 0 else { throw .refused(code) }
        guard let length = try buffer.addressLength(at: 3), buffer.readableBytes >= 3 + length + 2 else { return .wait }
        buffer.moveReaderIndex(forwardBy: 3 + length + 2)
        state = .connected
        let rest = buffer.slice()
        buffer = ByteBuffer()
        return .connected(rest)
    }

    /// CONNECT to the destination's name (RFC 1928 §4).
    private var request: ByteBuffer {
        var request = ByteBuffer(bytes: [5, 1, 0, 3] + SOCKS5ClientStateMachine.lengthed(domain))
        request.writeInteger(port)
        return request
    }

    private static func lengthed(_ text: String) -> [UInt8] { [UInt8(truncatingIfNeeded: text.utf8.count)] + Array(text.utf8) }
}

extension ByteBuffer {
    /// The byte at that distance from the reader index; nil when it has not come.
    func peek(_ offset: Int) -> UInt8? { getInteger(at: readerIndex + offset) }

    /// How many bytes an address takes at that distance, its type included (RFC 1928 §5); nil when too few have come to tell.
    func addressLength(at offset: Int) throws(SOCKS5Fault) -> Int? {
        guard let type = peek(offset) else { return nil }
        switch type {
        case 1: return 5
        case 3: return peek(offset + 1).map { 2 + Int($0) }
        case 4: return 17
        default: throw .addressType(type)
        }
    }
}
