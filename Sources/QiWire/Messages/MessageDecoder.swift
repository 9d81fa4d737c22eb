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

    /// The largest payload that is kept, in bytes. Of a larger one that is accepted the bytes are dropped as they come, and the message
    /// is told of at its end, without a payload (``Message/isCut``): so it can be refused.
    public var maximumKept = Int.max

    /// Received and not yet split.
    private var received = ByteBuffer()
    /// The beginning of a frame whose end has not come. Never shared with anyone.
    private var gathered = ByteBuffer()
    /// Bytes of the gathered frame, header included; nil until its header is complete.
    private var gatheredLength: Int?
    /// The frame whose payload is dropped, and how much of it is still to come.
    private var dropping: (header: MessageHeader, left: Int)?

    /// A decoder. libqi before 2019 accepted 50 000 000 bytes of payload, so no peer may expect less of us.
    public init(maximumPayload: Int = 50_000_000) {
        self.maximumPayload = maximumPayload
    }

    /// Whether a frame has begun and not ended; if the stream ends now, it was cut.
    public var isWithinFrame: Bool { heldBytes > 0 || received.readableBytes > 0 || dropping != nil }

    /// Whether there are bytes that ``next()`` has not looked at.
    public var hasUnsplitBytes: Bool { received.readableBytes > 0 }

    /// Bytes that are kept of a frame whose end has not come.
    public var heldBytes: Int { gathered.readableBytes }

    /// The storage that they take.
    public var heldCapacity: Int { gathered.readableBytes == 0 ? 0 : gathered.storageCapacity }

    /// Drops what has come of the frame that is being gathered, and what will, as one beyond ``maximumKept``. Nothing happens without.
    public mutating func dropHeldFrame() {
        guard let length = gatheredLength, gathered.readableBytes >= MessageHeader.length,
            // It was read once, and was one.
            let header = try? gathered.peekMessageHeader()
        else { return }
        dropping = (header, length - gathered.readableBytes)
        gathered = ByteBuffer()
        gatheredLength = nil
    }

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
        if dropping != nil { return nextDropped() }
        if gathered.readableBytes > 0 { return try nextGathered() }
        guard let header = try received.peekMessageHeader() else {
            try gatherRest()
            return nil
        }
        let length = try frameLength(header)
        if Int(header.payloadLength) > maximumKept {
            received.moveReaderIndex(forwardBy: MessageHeader.length)
            dropping = (header, Int(header.payloadLength))
            return nextDropped()
        }
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

    private mutating func nextDropped() -> Message? {
        guard var frame = dropping else { return nil }
        let count = min(frame.left, received.readableBytes)
        received.moveReaderIndex(forwardBy: count)
        releaseIfDrained()
        frame.left -= count
        dropping = frame.left == 0 ? nil : frame
        return frame.left == 0 ? Message(header: frame.header, payload: ByteBuffer()) : nil
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

    /// Reserves for a frame whose size is known, at most four times what has come: a header alone costs us nothing.
    private mutating func reserve(for length: Int, arriving: Int) {
        let present = gathered.readableBytes + arriving
        guard present > gathered.capacity || gathered.capacity < MessageHeader.length else { return }
        gathered.reserveCapacity(min(length, 4 * present))
    }

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
            if Int(header.payloadLength) > maximumKept {
                dropHeldFrame()
                return nextDropped()
            }
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
