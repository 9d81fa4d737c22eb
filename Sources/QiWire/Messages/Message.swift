public import NIOCore

/// A message: header and payload.
public struct Message: Hashable, Sendable {
    /// The header; its `payloadLength` is that of `payload`.
    public private(set) var header: MessageHeader
    /// The payload. A received one may share the storage of the bytes it came in.
    public var payload: ByteBuffer {
        didSet { header.payloadLength = UInt32(truncatingIfNeeded: payload.readableBytes) }
    }

    /// Creates a message.
    public init(
        kind: MessageKind, id: UInt32, address: ActionAddress, flags: MessageFlags = [], payload: ByteBuffer = ByteBuffer()
    ) {
        header = MessageHeader(
            id: id, payloadLength: UInt32(truncatingIfNeeded: payload.readableBytes), kind: kind, flags: flags,
            address: address)
        self.payload = payload
    }

    /// `header.payloadLength` has to be that of `payload`.
    package init(header: MessageHeader, payload: ByteBuffer) {
        self.header = header
        self.payload = payload
    }

    /// The header's id.
    @inlinable public var id: UInt32 { header.id }
    /// The header's kind.
    @inlinable public var kind: MessageKind { header.kind }
    /// The header's flags.
    @inlinable public var flags: MessageFlags { header.flags }
    /// The header's address.
    @inlinable public var address: ActionAddress { header.address }

    /// Whether the payload was dropped on its way (``MessageDecoder/maximumKept``).
    public var isCut: Bool { Int(header.payloadLength) > payload.readableBytes }

    /// The answer to this call: same id and address (reference §2).
    public func answer(_ kind: MessageKind, flags: MessageFlags = [], payload: ByteBuffer = ByteBuffer()) -> Message {
        Message(kind: kind, id: id, address: address, flags: flags, payload: payload)
    }
}

extension ByteBuffer {
    /// Writes header and payload.
    public mutating func writeMessage(_ message: Message) { writeMessage(message.header, payload: message.payload) }
}
