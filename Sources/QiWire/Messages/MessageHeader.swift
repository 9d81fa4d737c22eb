public import NIOCore

/// The 28 bytes before every payload (reference §2). The magic is not kept.
public struct MessageHeader: Hashable, Sendable {
    /// The bytes a header takes.
    @inlinable public static var length: Int { 28 }
    /// The first four bytes, `42 DE AD 42`, read as a little-endian integer.
    @inlinable public static var magic: UInt32 { 0x42AD_DE42 }

    /// Pairs an answer with its call.
    public var id: UInt32
    /// The bytes that follow.
    public var payloadLength: UInt32
    /// 0; a call of another version is answered with an error.
    public var version: UInt16
    /// The type.
    public var kind: MessageKind
    /// The flags.
    public var flags: MessageFlags
    /// What the message is about.
    public var address: ActionAddress

    /// Creates a header.
    @inlinable
    public init(
        id: UInt32, payloadLength: UInt32, version: UInt16 = 0, kind: MessageKind, flags: MessageFlags = [],
        address: ActionAddress
    ) {
        self.id = id
        self.payloadLength = payloadLength
        self.version = version
        self.kind = kind
        self.flags = flags
        self.address = address
    }

    /// Appends the 28 bytes.
    @inlinable
    func append(to span: inout OutputRawSpan) {
        // The bytes are put together in registers.
        let head = UInt64(MessageHeader.magic) | UInt64(id) << 32
        let kinds = UInt64(version) << 32 | UInt64(kind.rawValue) << 48 | UInt64(flags.rawValue) << 56
        let target = UInt64(address.service) | UInt64(address.object) << 32
        span.append(head.littleEndian, as: UInt64.self)
        span.append((UInt64(payloadLength) | kinds).littleEndian, as: UInt64.self)
        span.append(target.littleEndian, as: UInt64.self)
        span.append(address.action.littleEndian, as: UInt32.self)
    }
}

extension ByteBuffer {
    /// Reads a header and moves past it.
    ///
    /// - Returns: nil, and moves nothing, when fewer than 28 bytes are there.
    /// - Throws: `.frame` when the magic is wrong.
    @inlinable
    public mutating func readMessageHeader() throws(WireError) -> MessageHeader? {
        guard let header = try peekMessageHeader() else { return nil }
        moveReaderIndex(forwardBy: MessageHeader.length)
        return header
    }

    /// Reads a header without moving. As `readMessageHeader()`.
    @inlinable
    public func peekMessageHeader() throws(WireError) -> MessageHeader? {
        guard readableBytes >= MessageHeader.length else { return nil }
        // Four loads instead of nine reads.
        let (head, kinds, target, action) = withUnsafeReadableBytes { bytes in
            (
                UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
                UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
                UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)),
                UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 24, as: UInt32.self))
            )
        }
        let magic = UInt32(truncatingIfNeeded: head)
        guard magic == MessageHeader.magic else { throw .wrongMagic(magic) }
        return MessageHeader(
            id: UInt32(truncatingIfNeeded: head >> 32), payloadLength: UInt32(truncatingIfNeeded: kinds),
            version: UInt16(truncatingIfNeeded: kinds >> 32), kind: MessageKind(rawValue: UInt8(truncatingIfNeeded: kinds >> 48)),
            flags: MessageFlags(rawValue: UInt8(truncatingIfNeeded: kinds >> 56)),
            address: ActionAddress(
                service: UInt32(truncatingIfNeeded: target), object: UInt32(truncatingIfNeeded: target >> 32), action: action))
    }

    /// Writes a header, magic included.
    @inlinable
    public mutating func writeMessageHeader(_ header: MessageHeader) {
        writeWithOutputRawSpan(minimumWritableBytes: MessageHeader.length) { header.append(to: &$0) }
    }

    /// Writes a header and what follows it. For small payloads: it is copied.
    @inlinable
    public mutating func writeMessage(_ header: MessageHeader, payload: ByteBuffer) {
        // One access to the storage for both.
        payload.withUnsafeReadableBytes { payload in
            writeWithOutputRawSpan(minimumWritableBytes: MessageHeader.length + payload.count) { span in
                header.append(to: &span)
                span.withUnsafeMutableBytes { bytes, count in
                    UnsafeMutableRawBufferPointer(rebasing: bytes[count...]).copyMemory(from: payload)
                    count += payload.count
                }
            }
        }
    }
}

extension WireError {
    @inline(never) @usableFromInline
    static func wrongMagic(_ magic: UInt32) -> WireError {
        switch magic {
        // The first bytes of a record of TLS: an alert or a handshake, and the version (RFC 8446 §5.1).
        case _ where magic & 0xFFFF == 0x0315 || magic & 0xFFFF == 0x0316: WireError(.frame, "it speaks TLS (tcps://)")
        // "HTTP".
        case 0x5054_5448: WireError(.frame, "it speaks HTTP")
        default: WireError(.frame, "wrong magic 0x\(String(magic, radix: 16)): the peer does not speak qi, or the stream is out of step")
        }
    }
}
