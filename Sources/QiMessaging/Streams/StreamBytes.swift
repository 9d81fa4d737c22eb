import NIOCore

/// Bytes in at most two pieces: a message's header as a connection appended it, and a payload that it handed over without copying.
struct StreamBytes: Equatable {
    private var head: ByteBuffer
    private var tail: ByteBuffer?

    init(_ head: ByteBuffer = ByteBuffer(), _ tail: ByteBuffer? = nil) {
        self.head = head
        self.tail = tail
    }

    var count: Int { head.readableBytes + (tail?.readableBytes ?? 0) }

    /// Appends bytes. A third piece is copied behind the second.
    mutating func append(_ bytes: ByteBuffer) {
        if head.readableBytes == 0 {
            head = bytes
        } else if tail == nil {
            tail = bytes
        } else {
            tail?.writeImmutableBuffer(bytes)
        }
    }

    /// Takes the first bytes, at most `most`.
    mutating func take(_ most: Int) -> StreamBytes {
        let first = head.readSlice(length: min(most, head.readableBytes)) ?? ByteBuffer()
        let left = most - first.readableBytes
        guard left > 0, let rest = tail?.readableBytes, rest > 0 else { return StreamBytes(first) }
        let second = tail?.readSlice(length: min(left, rest))
        return first.readableBytes == 0 ? StreamBytes(second ?? ByteBuffer()) : StreamBytes(first, second)
    }

    func write(to buffer: inout ByteBuffer) {
        buffer.writeImmutableBuffer(head)
        if let tail { buffer.writeImmutableBuffer(tail) }
    }

    /// All of it in one piece.
    var joined: ByteBuffer {
        guard tail != nil else { return head }
        var all = ByteBuffer()
        all.reserveCapacity(count)
        write(to: &all)
        return all
    }

    static func == (one: StreamBytes, other: StreamBytes) -> Bool { one.joined == other.joined }
}
