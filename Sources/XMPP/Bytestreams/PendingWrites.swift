import DequeModule
import NIOCore

/// Writes a channel has been given and its link has not taken, in order, with the mark up to which they were flushed, and
/// whether more are welcome.
///
/// Writable until more than `watermark.high` bytes wait, and again when fewer than `watermark.low` do; both are less where the path
/// is slow.
struct PendingWrites {
    /// Where the channel stops and starts to be writable.
    struct Watermark {
        var low: Int
        var high: Int
    }

    private struct Write {
        var bytes: ByteBuffer
        let promise: EventLoopPromise<Void>?
    }

    var watermark: Watermark
    /// Fewer bytes than the mark, where the path is slow.
    var most = Int.max
    private var writes = Deque<Write>()
    private var flushed = 0
    private var bytesWaiting = 0
    private(set) var isWritable = true

    init(watermark: Watermark) {
        self.watermark = watermark
    }

    /// Whether a flushed write waits for room.
    var hasFlushed: Bool { flushed > 0 }

    /// Puts a write at the end. True when the channel stopped to be writable.
    mutating func append(_ bytes: ByteBuffer, promise: EventLoopPromise<Void>?) -> Bool {
        writes.append(Write(bytes: bytes, promise: promise))
        bytesWaiting += bytes.readableBytes
        return updateWritability()
    }

    /// Everything so far may go.
    mutating func flush() {
        flushed = writes.count
    }

    /// What giving flushed writes to the link came to.
    struct Progress {
        /// Promises of the writes taken whole.
        var done: [EventLoopPromise<Void>] = []
        /// Whether the channel is writable again.
        var becameWritable = false
        /// Whether a flushed write was not taken whole.
        var isBlocked = false
    }

    /// Gives flushed writes to `accept`, which moves the reader index past what it takes, until it takes less than all.
    mutating func drain(into accept: (inout ByteBuffer) -> Void) -> Progress {
        var progress = Progress()
        while flushed > 0 {
            let before = writes[0].bytes.readableBytes
            accept(&writes[0].bytes)
            bytesWaiting -= before - writes[0].bytes.readableBytes
            guard writes[0].bytes.readableBytes == 0 else {
                progress.isBlocked = true
                break
            }
            if let promise = writes.removeFirst().promise { progress.done.append(promise) }
            flushed -= 1
        }
        progress.becameWritable = updateWritability()
        return progress
    }

    /// Empties the queue: the promises to fail.
    mutating func removeAll() -> [EventLoopPromise<Void>] {
        let promises = writes.compactMap(\.promise)
        writes.removeAll()
        flushed = 0
        bytesWaiting = 0
        return promises
    }

    /// True when ``isWritable`` changed.
    private mutating func updateWritability() -> Bool {
        let before = isWritable
        if bytesWaiting > min(watermark.high, most) {
            isWritable = false
        } else if bytesWaiting < min(watermark.low, most / 2) || bytesWaiting == 0 {
            isWritable = true
        }
        return isWritable != before
    }
}
