public import NIOCore

/// Splits a stream of bytes into messages (reference §2, §23).
///
/// Append what was received, then call `next()` until it answers nil. A frame that lies whole in one received buffer becomes a
/// slice of
/// it; only a frame that spans buffers is gathered in storage of its own. That storage grows with the bytes that really came:
/// a header that announces a big frame costs the peer bytes before it costs us memory. A drained decoder holds no storage.
public struct MessageDecoder: Sendable {
    /// The largest payload accepted, in bytes. Checked when the header is complete.
    public var maximumPayload: Int

    /// Received and not yet split.
    private var received = ByteBuffer()
    /// The beginning of a frame whose end has not come. Never shared with anyone.
    private var gathered = ByteBuffer()
    /// Bytes of the gathered frame, header included; nil until its header is complete.
    private var gatheredLength: Int?

    /// A decoder. libqi before 2019 accepted 50 000 000 bytes of payload, so no peer may expect less of us.
    public init(maximumPayload: Int = 50_000_000) {
        self.maximumPayload = maximumPayload
    }

    /// Whether a frame has begun and not ended; if the stream ends now, it was cut.
    public var isWithinFrame: Bool { gathered.readableBytes > 0 || received.readableBytes > 0 }

    /// Takes received bytes. Drain with `next()` before appending more.
    public mutating func append(_ bytes: ByteBuffer) {
        if received.readableBytes == 0 {
            received = bytes
        } else {
            received.writeImmutableBuffer(bytes)
        }
    }

    /// The next whole message, nil when more bytes are needed.
    ///
    /// - Throws: `.frame` for a wrong magic, `.limit` for a payload above `maximumPayload`. The stream is of no use afterwards.
    public mutating func next() throws(WireError) -> Message? {
        if gathered.readableBytes > 0 { return try nextGathered() }
        guard let header = try received.peekMessageHeader() else {
            try gatherRest()
            return nil
        }
        let length = try frameLength(header)
        guard received.readableBytes >= length else {
            gatheredLength = length
            try gatherRest()
            return nil
        }
        received.moveReaderIndex(forwardBy: MessageHeader.length)
        let payload = received.readSlice(length: length - MessageHeader.length)
        releaseIfDrained()
        return payload.map { Message(header: header, payload: $0) }
    }

    private func frameLength(_ header: MessageHeader) throws(WireError) -> Int {
        guard Int(header.payloadLength) <= maximumPayload else {
            throw WireError(.limit, "a payload of \(header.payloadLength) bytes was announced; \(maximumPayload) are allowed")
        }
        return MessageHeader.length + Int(header.payloadLength)
    }

    private mutating func releaseIfDrained() {
        // Holding on to a drained buffer would keep its owner from reusing it.
        if received.readableBytes == 0 { received = ByteBuffer() }
    }

    /// Moves the incomplete frame at the end of `received` into `gathered`.
    private mutating func gatherRest() throws(WireError) {
        guard received.readableBytes > 0 else { return releaseIfDrained() }
        // The magic is judged as soon as it is there: a peer that speaks something else shorter than a header would never be
        // told.
        if let magic = received.getInteger(at: received.readerIndex, endianness: .little, as: UInt32.self),
            magic != MessageHeader.magic
        {
            throw .wrongMagic(magic)
        }
        gather(received.readableBytes)
    }

    private mutating func gather(_ count: Int) {
        guard var part = received.readSlice(length: count) else { return }
        if let length = gatheredLength { reserve(for: length, arriving: count) }
        gathered.writeBuffer(&part)
        releaseIfDrained()
    }

    /// Reserves at once what a moderate frame needs, and for a big one at most sixteen times what has come.
    private mutating func reserve(for length: Int, arriving: Int) {
        let present = gathered.readableBytes + arriving
        guard present > gathered.capacity || gathered.capacity < MessageDecoder.eagerReservation else { return }
        gathered.reserveCapacity(min(length, max(MessageDecoder.eagerReservation, 16 * present)))
    }

    private static let eagerReservation = 1 << 20

    private mutating func nextGathered() throws(WireError) -> Message? {
        let length: Int
        if let known = gatheredLength {
            length = known
        } else {
            gather(min(received.readableBytes, MessageHeader.length - gathered.readableBytes))
            guard let header = try gathered.peekMessageHeader() else {
                try checkPartialMagic()
                return nil
            }
            length = try frameLength(header)
            gatheredLength = length
        }
        gather(min(received.readableBytes, length - gathered.readableBytes))
        guard gathered.readableBytes == length, let header = try gathered.readMessageHeader() else { return nil }
        let message = Message(header: header, payload: gathered.slice())
        gathered = ByteBuffer()
        gatheredLength = nil
        return message
    }

    private func checkPartialMagic() throws(WireError) {
        if let magic = gathered.getInteger(at: gathered.readerIndex, endianness: .little, as: UInt32.self),
            magic != MessageHeader.magic
        {
            throw .wrongMagic(magic)
        }
    }
}
