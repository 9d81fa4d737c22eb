import DequeModule
import NIOCore
import QiWire

/// The incoming half of a device stream: takes numbered frames once, puts messages together, and says how far it has come. A pure value.
///
/// What it holds is bounded: behind the first complete message that waits for its reader no frame is confirmed, so no more comes than the
/// window, which the peer may not overrun; incomplete messages are bounded by their number and bytes. Until the peer has logged in these
/// are the bytes of one of the longest. What the streams of one device hold together is bounded as one of them is (``StreamHolding``).
struct StreamReceiver {
    struct Limits {
        /// Bytes of frames that the peer may send without a confirmation.
        var window = 256 << 10
        /// The longest message, header included.
        var message = 50_000_000 + MessageHeader.length
        /// Messages that have begun and not ended.
        var unfinished = 1024
        /// Bytes of them beyond those of one of the longest, once the peer has logged in.
        var unfinishedBytes = 8 << 20
    }

    private struct Unfinished {
        let length: Int
        var bytes: ByteBuffer
    }

    private struct Ready {
        var message: ByteBuffer
        /// Frames, and bytes of them, received before the one that completed it.
        let before: (frames: UInt64, bytes: UInt64)
    }

    private let limits: Limits
    private var unfinished: [UInt32: Unfinished] = [:]
    /// Bytes of messages that have begun and not ended.
    private(set) var unfinishedBytes = 0
    /// The same on other streams of the device.
    var unfinishedElsewhere = 0
    private var ready = Deque<Ready>()
    /// How many of them, from the first, keep nothing but their own bytes.
    private var keptReady = 0
    /// The number of the next frame on the path in use.
    private var next: UInt64 = 0
    /// Frames received.
    private(set) var received: UInt64 = 0
    /// Frames of which the peer was told that they were taken.
    private(set) var told: UInt64 = 0
    /// Bytes of frames received, and of those that the peer was told of.
    private(set) var receivedBytes: UInt64 = 0
    private var toldBytes: UInt64 = 0
    /// Bytes of the last frame.
    private var cost: UInt64 = 0
    /// The longest message now; smaller until the peer has logged in.
    var longest: Int
    /// Why the peer ended the stream; nil while it has not.
    private(set) var ended: String?

    init(_ limits: Limits, longest: Int) {
        self.limits = limits
        self.longest = min(longest, limits.message)
    }

    var window: UInt32 { UInt32(truncatingIfNeeded: limits.window) }
    /// Whether messages wait for their reader.
    var hasReady: Bool { !ready.isEmpty }

    /// Bytes that are kept: of messages that have begun, and of those that wait for their reader.
    var heldBytes: Int { unfinishedBytes + ready.reduce(0) { $0 + $1.message.readableBytes } }

    /// A new path, on which the peer begins with this frame.
    mutating func resume(from number: UInt64) {
        next = number
        // What was told last may have been lost with its path, and the peer would wait for it for ever.
        hasToTell = received > 0
    }

    private var hasToTell = false
    /// Whether the peer may be told something that it does not know.
    var hasNews: Bool { taken > told || hasToTell }

    /// Takes a frame; one that came before, on another path, is passed over.
    ///
    /// - Throws: when the peer sends more than it may, or pieces that do not fit.
    mutating func take(_ frame: StreamNumbered) throws(StreamFault) {
        next += 1
        guard next > received else { return }
        guard ended == nil else { throw StreamFault("it sends frames behind the last one") }
        received = next
        receivedBytes += UInt64(frame.cost)
        // One frame may pass the window: the sender looks at it before each.
        guard receivedBytes - toldBytes <= limits.window + StreamFrameCoding.header + StreamFrameCoding.maximumBody else {
            throw StreamFault("it sends more than \(limits.window) bytes that were not taken")
        }
        cost = UInt64(frame.cost)
        switch frame {
        case .whole(let bytes): try finish(bytes.joined)
        case .begin(let number, let length, let bytes): try begin(number, Int(length), bytes.joined)
        case .more(let number, let bytes): try goOn(number, bytes.joined)
        case .drop(let number):
            guard let gone = unfinished.removeValue(forKey: number) else { throw StreamFault("it withdraws a message that has not begun") }
            unfinishedBytes -= gone.bytes.readableBytes
        case .end(let reason): ended = reason
        }
    }

    private var mostUnfinished: Int { longest < limits.message ? longest : mostUnfinishedOfAll }
    /// Of all streams of the device.
    private var mostUnfinishedOfAll: Int { limits.message + limits.unfinishedBytes }

    private mutating func begin(_ number: UInt32, _ length: Int, _ bytes: ByteBuffer) throws(StreamFault) {
        guard length <= longest else { throw StreamFault("a message of \(length) bytes was announced; \(longest) are allowed") }
        guard unfinished[number] == nil else { throw StreamFault("it begins a message a second time") }
        guard unfinished.count < limits.unfinished else { throw StreamFault("it begins more than \(limits.unfinished) messages at a time") }
        unfinished[number] = Unfinished(length: length, bytes: ByteBuffer())
        try add(bytes, to: number)
    }

    private mutating func goOn(_ number: UInt32, _ bytes: ByteBuffer) throws(StreamFault) {
        guard unfinished[number] != nil else { throw StreamFault("it goes on with a message that has not begun") }
        try add(bytes, to: number)
    }

    private mutating func add(_ bytes: ByteBuffer, to number: UInt32) throws(StreamFault) {
        guard var message = unfinished.removeValue(forKey: number) else { return }
        let present = message.bytes.readableBytes + bytes.readableBytes
        guard present <= message.length else { throw StreamFault("it sends more of a message than it announced") }
        unfinishedBytes += bytes.readableBytes
        guard unfinishedBytes <= mostUnfinished else {
            throw StreamFault("more than \(mostUnfinished) bytes of messages have begun and not ended")
        }
        guard unfinishedBytes + unfinishedElsewhere <= mostUnfinishedOfAll else {
            throw StreamFault("more than \(mostUnfinishedOfAll) bytes of messages have begun and not ended on all its streams")
        }
        // Storage grows with what has come: the announcement alone costs nothing.
        if present > message.bytes.capacity { message.bytes.reserveCapacity(min(message.length, 4 * present)) }
        message.bytes.writeImmutableBuffer(bytes)
        guard present == message.length else { return unfinished[number] = message }
        unfinishedBytes -= present
        try finish(message.bytes)
    }

    private mutating func finish(_ message: ByteBuffer) throws(StreamFault) {
        guard message.readableBytes <= longest else {
            throw StreamFault("a message of \(message.readableBytes) bytes came; \(longest) are allowed")
        }
        guard let header = try? message.peekMessageHeader(),
            MessageHeader.length + Int(header.payloadLength) == message.readableBytes
        else { throw StreamFault("what came whole is no message") }
        ready.append(Ready(message: message, before: (received - 1, receivedBytes - cost)))
    }

    /// The next message for the reader.
    mutating func popReady() -> ByteBuffer? {
        keptReady = max(0, keptReady - 1)
        return ready.popFirst()?.message
    }

    /// What is ready goes on waiting: a small message would keep all of the buffer in which it came (32 KiB behind TLS).
    mutating func keepReady() {
        for index in keptReady..<ready.count where ready[index].message.storageCapacity > 2 * ready[index].message.readableBytes {
            var own = ByteBuffer()
            own.writeImmutableBuffer(ready[index].message)
            ready[index].message = own
        }
        keptReady = ready.count
    }

    /// Frames whose messages were taken: what the peer may be told. Pieces of a message that has not ended count as taken.
    var taken: UInt64 { ready.first?.before.frames ?? received }

    /// Bytes received since the peer was told last.
    var untoldBytes: Int { Int(truncatingIfNeeded: receivedBytes - toldBytes) }

    /// The peer is told so many frames now.
    mutating func tell() -> UInt64 {
        told = taken
        hasToTell = false
        toldBytes = ready.first?.before.bytes ?? receivedBytes
        return told
    }
}
