import NIOCore
import QiWire

/// Frames as bytes.
enum StreamFrameCoding {
    /// Bytes before the body of a frame.
    static let header = 4
    /// Most bytes of a message in one frame.
    static let maximumPiece = 1 << 16
    /// Most bytes of a body.
    static let maximumBody = maximumPiece + 8
    /// Most bytes of a text.
    static let maximumText = 512
    /// What a path begins with, in both directions: another protocol is noticed at once.
    static let magic: UInt32 = 0x514D_5332

    private enum Kind: UInt8 {
        case hello = 0x01
        case welcome = 0x02
        case refused = 0x03
        case whole = 0x10
        case begin = 0x11
        case more = 0x12
        case drop = 0x13
        case end = 0x14
        case confirm = 0x20
        case ping = 0x21
        case pong = 0x22

        /// Most bytes of a body of this kind.
        var most: Int {
            switch self {
            case .hello: 41
            case .welcome: 40
            case .refused: 5 + maximumText
            case .whole: maximumPiece
            case .begin: maximumPiece + 8
            case .more: maximumPiece + 4
            case .drop: 4
            case .end: maximumText
            case .confirm, .ping, .pong: 8
            }
        }
    }

    // MARK: Writing

    static func write(_ frame: StreamFrame, to buffer: inout ByteBuffer) {
        switch frame {
        case .hello(let hello):
            start(.hello, 41, &buffer)
            buffer.writeMultipleIntegers(magic, hello.purpose.rawValue, hello.stream.high, hello.stream.low, hello.instance)
            buffer.writeMultipleIntegers(hello.received, hello.window)
        case .welcome(let welcome):
            start(.welcome, 40, &buffer)
            buffer.writeMultipleIntegers(magic, welcome.stream.high, welcome.stream.low, welcome.received, welcome.first)
            buffer.writeInteger(welcome.window)
        case .refused(let refusal):
            let text = ByteBuffer(string: refusal.text.cut(toBytes: maximumText))
            start(.refused, 5 + text.readableBytes, &buffer)
            buffer.writeMultipleIntegers(magic, refusal.reason.rawValue)
            buffer.writeImmutableBuffer(text)
        case .numbered(let frame): write(frame, to: &buffer)
        case .confirm(let number): write(.confirm, number, to: &buffer)
        case .ping(let token): write(.ping, token, to: &buffer)
        case .pong(let token): write(.pong, token, to: &buffer)
        }
    }

    static func write(_ frame: StreamNumbered, to buffer: inout ByteBuffer) {
        switch frame {
        case .whole(let bytes):
            start(.whole, bytes.count, &buffer)
            bytes.write(to: &buffer)
        case .begin(let message, let length, let bytes):
            start(.begin, 8 + bytes.count, &buffer)
            buffer.writeMultipleIntegers(message, length)
            bytes.write(to: &buffer)
        case .more(let message, let bytes):
            start(.more, 4 + bytes.count, &buffer)
            buffer.writeInteger(message)
            bytes.write(to: &buffer)
        case .drop(let message):
            start(.drop, 4, &buffer)
            buffer.writeInteger(message)
        case .end(let text):
            let text = ByteBuffer(string: text.cut(toBytes: maximumText))
            start(.end, text.readableBytes, &buffer)
            buffer.writeImmutableBuffer(text)
        }
    }

    private static func start(_ kind: Kind, _ count: Int, _ buffer: inout ByteBuffer) {
        buffer.writeInteger(UInt32(kind.rawValue) << 24 | UInt32(truncatingIfNeeded: count))
    }

    private static func write(_ kind: Kind, _ number: UInt64, to buffer: inout ByteBuffer) {
        start(kind, 8, &buffer)
        buffer.writeInteger(number)
    }

    // MARK: Reading

    /// The next frame of `buffer`; nil when it has not come whole.
    ///
    /// - Throws: for an unknown kind, a length that its kind cannot have, and bytes that mean nothing.
    static func read(from buffer: inout ByteBuffer) throws(StreamFault) -> StreamFrame? {
        guard let word = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self) else { return nil }
        guard let kind = Kind(rawValue: UInt8(truncatingIfNeeded: word >> 24)) else {
            throw StreamFault("a frame of the unknown kind \(word >> 24)")
        }
        let count = Int(word & 0xFF_FFFF)
        guard count <= kind.most else { throw StreamFault("a frame of \(count) bytes, where \(kind.most) are the most") }
        guard buffer.readableBytes >= header + count else { return nil }
        buffer.moveReaderIndex(forwardBy: header)
        guard var body = buffer.readSlice(length: count), let frame = parse(kind, &body) else {
            throw StreamFault("a frame of the kind \(kind) that cannot be read")
        }
        return frame
    }

    private static func parse(_ kind: Kind, _ body: inout ByteBuffer) -> StreamFrame? {
        switch kind {
        case .hello: parseHello(&body).map { .hello($0) }
        case .welcome: parseWelcome(&body).map { .welcome($0) }
        case .refused: parseRefusal(&body).map { .refused($0) }
        case .whole: body.readableBytes > 0 ? .numbered(.whole(StreamBytes(body))) : nil
        case .begin:
            body.readMultipleIntegers(as: (UInt32, UInt32).self).flatMap { (message, length) in
                body.readableBytes > 0 && body.readableBytes < Int(length)
                    ? .numbered(.begin(message, length: length, StreamBytes(body))) : nil
            }
        case .more: body.readInteger(as: UInt32.self).flatMap { body.readableBytes > 0 ? .numbered(.more($0, StreamBytes(body))) : nil }
        case .drop: whole(body.readInteger(as: UInt32.self), body).map { .numbered(.drop($0)) }
        case .end: .numbered(.end(String(buffer: body)))
        case .confirm: whole(body.readInteger(as: UInt64.self), body).map { .confirm($0) }
        case .ping: whole(body.readInteger(as: UInt64.self), body).map { .ping($0) }
        case .pong: whole(body.readInteger(as: UInt64.self), body).map { .pong($0) }
        }
    }

    /// What was read, if nothing follows it.
    private static func whole<Value>(_ value: Value?, _ rest: ByteBuffer) -> Value? { rest.readableBytes == 0 ? value : nil }

    private static func parseHello(_ body: inout ByteBuffer) -> StreamHello? {
        guard let (found, purpose, high, low, instance) = body.readMultipleIntegers(as: (UInt32, UInt8, UInt64, UInt64, UInt64).self),
            let (received, window) = body.readMultipleIntegers(as: (UInt64, UInt32).self), body.readableBytes == 0,
            found == magic, let purpose = StreamHello.Purpose(rawValue: purpose)
        else { return nil }
        return StreamHello(
            purpose: purpose, stream: StreamID(high: high, low: low), instance: instance, received: received, window: window)
    }

    private static func parseWelcome(_ body: inout ByteBuffer) -> StreamWelcome? {
        guard let (found, high, low, received, first) = body.readMultipleIntegers(as: (UInt32, UInt64, UInt64, UInt64, UInt64).self),
            let window = body.readInteger(as: UInt32.self), body.readableBytes == 0, found == magic
        else { return nil }
        return StreamWelcome(stream: StreamID(high: high, low: low), received: received, first: first, window: window)
    }

    private static func parseRefusal(_ body: inout ByteBuffer) -> StreamRefusal? {
        guard let (found, reason) = body.readMultipleIntegers(as: (UInt32, UInt8).self), found == magic,
            let reason = StreamRefusal.Reason(rawValue: reason)
        else { return nil }
        return StreamRefusal(reason: reason, text: String(buffer: body))
    }
}
