import DequeModule
import NIOCore
import Synchronization

/// What lies between a ``BytestreamChannel`` on its event loop and the stanza thread: received blocks one way, flushed bytes
/// and acknowledgements the other way. Plays the part of a socket's two kernel buffers.
///
/// Each side changes the state under the lock and then wakes the other, at most once until that has looked: a burst costs one
/// hop, and an acknowledgement travels with the answer it caused.
final class BytestreamLink: Sendable {
    /// How the peer's side ended.
    enum End: Sendable {
        /// In good order: what was received before is still read.
        case orderly
        /// Lost: at once.
        case failed(XMPPError)
    }

    /// How our channel ended.
    enum Close: Sendable {
        /// In good order: what was flushed before is still sent.
        case orderly
        /// Its handlers could not be installed.
        case failed(String)
    }

    /// What the channel finds.
    struct Arrivals: ~Copyable {
        var blocks: Deque<ByteBuffer>
        let end: End?
    }

    /// What the stanza thread finds.
    struct Orders: Sendable {
        /// Blocks given to handlers since it looked last.
        let delivered: Int
        /// Bytes that wait to be sent.
        let waiting: Int
        /// Set once, by the look that learns of it.
        let close: Close?
    }

    private struct State {
        var arrived = Deque<ByteBuffer>()
        var end: End?
        var isChannelWoken = false
        /// Set while there is a channel to tell.
        var channelWork: (@Sendable () -> Void)?

        var outbound = ByteBuffer()
        var wantsRoom = false
        var delivered = 0
        var close: Close?
        var isStanzaThreadWoken = false
    }

    /// Where the channel lives.
    let eventLoop: any EventLoop
    private let capacity: Int
    /// What the stanza thread lets the channel put here, at most ``capacity``.
    private let room: Atomic<Int>
    private let executor: any StanzaExecutor
    private let stanzaWork: @Sendable () -> Void
    private let state = Mutex(State())

    /// `stanzaWork` is run by `executor` when there is something to look at. `room` bytes may wait to be sent, until
    /// ``takeOutbound(_:room:_:)`` changes it; `capacity` is what a channel may leave behind that closes.
    init(
        eventLoop: any EventLoop, capacity: Int, room: Int? = nil, executor: any StanzaExecutor,
        stanzaWork: @escaping @Sendable () -> Void
    ) {
        self.eventLoop = eventLoop
        self.capacity = capacity
        self.room = Atomic(min(room ?? capacity, capacity))
        self.executor = executor
        self.stanzaWork = stanzaWork
    }

    // MARK: The stanza thread's side

    /// A block came in.
    func arrived(_ block: ByteBuffer) {
        wakeChannel { $0.arrived.append(block) }
    }

    /// The peer's side ended. Only the first end counts, but a loss outranks an end in good order.
    func ended(_ end: End) {
        wakeChannel { state in
            switch (state.end, end) {
            case (nil, _), (.orderly, .failed): state.end = end
            case (.orderly, .orderly), (.failed, _): break
            }
        }
    }

    /// Takes what the channel left.
    func takeOrders() -> Orders {
        state.withLock { state in
            state.isStanzaThreadWoken = false
            let orders = Orders(delivered: state.delivered, waiting: state.outbound.readableBytes, close: state.close)
            state.delivered = 0
            state.close = nil
            return orders
        }
    }

    /// Bytes that wait to be sent.
    var waiting: Int { state.withLock { $0.outbound.readableBytes } }

    /// Takes the next bytes, at most `most`, and tells how many are left, and whether the channel has more. From now on `room` bytes may
    /// wait. `body` sees the bytes under the lock and must be quick.
    func takeOutbound(_ most: Int, room: Int? = nil, _ body: (UnsafeRawBufferPointer) -> Void) -> (left: Int, hasMore: Bool) {
        if let room { self.room.store(min(room, capacity), ordering: .relaxed) }
        let (left, hasMore, work) = state.withLock { state -> (Int, Bool, (@Sendable () -> Void)?) in
            let count = min(most, state.outbound.readableBytes)
            state.outbound.withUnsafeReadableBytes { body(UnsafeRawBufferPointer(rebasing: $0.prefix(count))) }
            state.outbound.moveReaderIndex(forwardBy: count)
            let left = state.outbound.readableBytes
            if left == 0 { state.outbound.clear() }
            guard state.wantsRoom, left <= self.room.load(ordering: .relaxed) / 2 else { return (left, state.wantsRoom, nil) }
            state.wantsRoom = false
            return (left, true, markChannelWoken(&state))
        }
        if let work { eventLoop.execute(work) }
        return (left, hasMore)
    }

    private func wakeChannel(after change: (inout State) -> Void) {
        let work = state.withLock { state in
            change(&state)
            return markChannelWoken(&state)
        }
        if let work { eventLoop.execute(work) }
    }

    private func markChannelWoken(_ state: inout State) -> (@Sendable () -> Void)? {
        guard !state.isChannelWoken, let work = state.channelWork else { return nil }
        state.isChannelWoken = true
        return work
    }

    // MARK: The channel's side

    /// From now on the channel is told of changes by running `work` on its event loop; it looks once by itself.
    func attach(_ work: @escaping @Sendable () -> Void) {
        state.withLock { $0.channelWork = work }
    }

    /// The channel is about to look at room, blocks and end: whatever changes from here on wakes it again. Cleared any later, room that
    /// came between its look and the clearing would wake nobody.
    func channelLooks() {
        state.withLock { $0.isChannelWoken = false }
    }

    /// Takes received blocks, if `wanted`, and sees the end.
    func takeArrivals(wanted: Bool) -> Arrivals {
        state.withLock { state in
            guard wanted else { return Arrivals(blocks: Deque(), end: state.end) }
            var blocks = Deque<ByteBuffer>()
            swap(&blocks, &state.arrived)
            return Arrivals(blocks: blocks, end: state.end)
        }
    }

    /// Whether received blocks wait.
    var hasArrivals: Bool { state.withLock { !$0.arrived.isEmpty } }

    /// Blocks were given to the handlers. Takes effect with the next ``wakeStanzaThread()``.
    func delivered(blocks count: Int) {
        state.withLock { $0.delivered += count }
    }

    /// Bytes that may wait here now. The channel itself keeps no more than that again before it is full.
    var currentRoom: Int { room.load(ordering: .relaxed) }

    /// Takes as many of the bytes as there is room for and moves the reader index past them. When some are left the channel is
    /// woken once there is room again. Takes effect with the next ``wakeStanzaThread()``. `isLast`: nothing follows, so all the capacity is
    /// used.
    func accept(_ bytes: inout ByteBuffer, isLast: Bool = false) {
        state.withLock { state in
            let room = max(0, (isLast ? capacity : currentRoom) - state.outbound.readableBytes)
            if let part = bytes.readSlice(length: min(room, bytes.readableBytes)) {
                // The front of the storage is dead after blocks were taken; reuse it rather than grow.
                if state.outbound.readerIndex >= capacity { state.outbound.discardReadBytes() }
                state.outbound.writeImmutableBuffer(part)
            }
            if bytes.readableBytes > 0 { state.wantsRoom = true }
        }
    }

    /// The channel has closed; it is not told of anything any more.
    func closed(_ close: Close) {
        state.withLock { state in
            state.channelWork = nil
            state.arrived.removeAll()
            state.close = close
        }
        wakeStanzaThread()
    }

    /// Lets the stanza thread look, if there is anything and it has not been told yet. `delivered`: that many blocks alone are no reason.
    func wakeStanzaThread(unlessDelivered delivered: Int = 0) {
        let mustWake = state.withLock { state in
            guard !state.isStanzaThreadWoken else { return false }
            guard state.delivered > delivered || state.outbound.readableBytes > 0 || state.close != nil else { return false }
            state.isStanzaThreadWoken = true
            return true
        }
        if mustWake { executor.execute(stanzaWork) }
    }
}
