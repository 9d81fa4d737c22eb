import DequeModule
import NIOCore
import Synchronization

/// A bytestream as a NIO channel: bytes written become blocks, received blocks are read. TLS and framing are added like on a
/// socket.
///
/// It behaves like a connected stream socket: `autoRead` and the write buffer's watermarks are its options; flushed bytes are
/// sent even when the channel is closed behind them; a write's promise succeeds when the bytes have left the channel, not when
/// the peer has them. Half closure, addresses, bind and connect do not exist. A peer's close in good order looks like
/// end-of-file, after everything it sent has been read; a loss arrives as an `XMPPError` in `errorCaught` and closes at once.
///
/// `@unchecked Sendable`: the event loop protects all state but the two atomics.
final class BytestreamChannel: Channel, @unchecked Sendable {
    private enum Phase {
        case starting
        case active
        case closed
    }

    let eventLoop: any EventLoop
    let allocator = ByteBufferAllocator()
    /// What `autoRead` and the watermarks are read from and set on; event loop only.
    var autoRead = true
    var pendingWrites = PendingWrites(watermark: PendingWrites.Watermark(low: 32 * 1024, high: 64 * 1024))

    private let link: BytestreamLink
    private let closePromise: EventLoopPromise<Void>
    private let activeFlag = Atomic(false)
    private let writableFlag = Atomic(true)
    private var phase = Phase.starting
    private var isReadWanted = false
    private var isDelivering = false
    /// Blocks given to the handlers and not reported to the link yet.
    private var unreported = 0
    /// A block of so many bytes at most is short: its acknowledgement may wait for company.
    private static let short = 1000
    private let acknowledgementDelay: TimeAmount
    private var lateAcknowledgement: Scheduled<Void>?
    private var isGivingWrites = false
    // A pipeline is made from its channel, so it cannot be a `let`; set in `init` and never again.
    private var ownPipeline: ChannelPipeline!

    /// A channel that is not active yet.
    init(link: BytestreamLink, acknowledgementDelay: TimeAmount) {
        self.link = link
        self.acknowledgementDelay = acknowledgementDelay
        eventLoop = link.eventLoop
        closePromise = link.eventLoop.makePromise()
        ownPipeline = ChannelPipeline(channel: self)
    }

    var closeFuture: EventLoopFuture<Void> { closePromise.futureResult }
    var pipeline: ChannelPipeline { ownPipeline }
    var localAddress: SocketAddress? { nil }
    var remoteAddress: SocketAddress? { nil }
    var parent: (any Channel)? { nil }
    var isActive: Bool { activeFlag.load(ordering: .relaxed) }
    var isWritable: Bool { writableFlag.load(ordering: .relaxed) }
    var _channelCore: any ChannelCore { self }

    // MARK: Life

    /// Makes a channel on its event loop and lets `initializer` add the handlers; completes with an active channel, or with
    /// what went wrong, in which case the channel is closed.
    static func start(
        link: BytestreamLink, acknowledgementDelay: TimeAmount = .zero,
        initializer: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>,
        completion: @escaping @Sendable (Result<any Channel, XMPPError>) -> Void
    ) {
        link.eventLoop.execute {
            let channel = BytestreamChannel(link: link, acknowledgementDelay: acknowledgementDelay)
            initializer(channel).hop(to: link.eventLoop).whenComplete { result in
                switch result {
                case .success: completion(channel.activate().map { channel })
                case .failure(let error):
                    let failure = XMPPError(
                        .streamClosed, "the channel's handlers could not be installed", cause: error)
                    channel.shutDown(pendingWritesError: failure, close: .failed("handlers could not be installed"))
                    completion(.failure(failure))
                }
            }
        }
    }

    /// The handlers are there: life begins. Fails when it is over before.
    private func activate() -> Result<Void, XMPPError> {
        guard phase == .starting else {
            return .failure(XMPPError(.streamClosed, "the channel was closed before it was active"))
        }
        link.attach { self.linkChanged() }
        if case .failed(let error) = link.takeArrivals(wanted: false).end {
            shutDown(pendingWritesError: error, close: .orderly)
            return .failure(error)
        }
        ownPipeline.syncOperations.fireChannelRegistered()
        phase = .active
        activeFlag.store(true, ordering: .relaxed)
        ownPipeline.syncOperations.fireChannelActive()
        if autoRead { ownPipeline.syncOperations.read() }
        linkChanged()
        return .success(())
    }

    /// Blocks, room or an end may have come.
    private func linkChanged() {
        link.channelLooks()
        guard phase == .active else { return }
        giveWrites()
        deliver()
    }

    /// Closes when the peer's side has ended: at once after a loss, else when everything was read.
    private func followEnd() {
        guard phase == .active else { return }
        switch link.takeArrivals(wanted: false).end {
        case .failed(let error):
            ownPipeline.syncOperations.fireErrorCaught(error)
            shutDown(pendingWritesError: error, close: .orderly)
        case .orderly where !link.hasArrivals: shutDown(pendingWritesError: ChannelError.eof, close: .orderly)
        case .orderly, nil: break
        }
    }

    /// The end of the channel, once.
    private func shutDown(pendingWritesError: any Error, close: BytestreamLink.Close) {
        guard phase != .closed else { return }
        let wasActive = phase == .active
        phase = .closed
        activeFlag.store(false, ordering: .relaxed)
        writableFlag.store(false, ordering: .relaxed)
        for promise in pendingWrites.removeAll() { promise.fail(pendingWritesError) }
        lateAcknowledgement?.cancel()
        lateAcknowledgement = nil
        reportDelivered()
        link.closed(close)
        if wasActive {
            ownPipeline.syncOperations.fireChannelInactive()
            ownPipeline.syncOperations.fireChannelUnregistered()
        }
        // Handlers may still be on the stack; they are removed when it has unwound.
        eventLoop.execute {
            self.removeHandlers(pipeline: self.ownPipeline)
            self.closePromise.succeed(())
        }
    }

    // MARK: Reading

    /// Gives received blocks to the handlers as long as these ask for more. They are acknowledged after that, together with
    /// whatever the handlers flushed on them.
    private func deliver() {
        guard !isDelivering else { return }
        while phase == .active, isReadWanted {
            let arrivals = link.takeArrivals(wanted: true)
            if case .failed = arrivals.end { break }
            guard !arrivals.blocks.isEmpty else { break }
            isReadWanted = false
            isDelivering = true
            let isShort = arrivals.blocks.count == 1 && arrivals.blocks.allSatisfy { $0.readableBytes <= Self.short }
            for block in arrivals.blocks where phase == .active {
                unreported += 1
                ownPipeline.syncOperations.fireChannelRead(NIOAny(block))
            }
            reportDelivered()
            if phase == .active { ownPipeline.syncOperations.fireChannelReadComplete() }
            if phase == .active, autoRead { ownPipeline.syncOperations.read() }
            isDelivering = false
            acknowledge(isShort: isShort)
        }
        followEnd()
    }

    /// Lets the acknowledgements go out; that of a single short block later, unless something goes out before.
    private func acknowledge(isShort: Bool) {
        guard isShort, acknowledgementDelay > .zero, phase == .active else { return link.wakeStanzaThread() }
        link.wakeStanzaThread(unlessDelivered: 1)
        guard lateAcknowledgement == nil else { return }
        lateAcknowledgement = eventLoop.assumeIsolated().scheduleTask(in: acknowledgementDelay) { [weak self] in
            self?.lateAcknowledgement = nil
            self?.link.wakeStanzaThread()
        }
    }

    private func reportDelivered() {
        guard unreported > 0 else { return }
        link.delivered(blocks: unreported)
        unreported = 0
    }

    // MARK: Writing

    /// Gives flushed writes to the link as far as it has room.
    private func giveWrites() {
        // A promise or a writability change may flush again; the loop below sees what that adds.
        guard !isGivingWrites else { return }
        isGivingWrites = true
        defer { isGivingWrites = false }
        pendingWrites.most = link.currentRoom
        while phase == .active, pendingWrites.hasFlushed {
            let progress = pendingWrites.drain { link.accept(&$0) }
            if progress.becameWritable { writabilityChanged() }
            for promise in progress.done { promise.succeed(()) }
            if progress.isBlocked { break }
        }
        // While blocks are delivered their acknowledgement is about to wake the stanza thread anyway.
        if !isDelivering { link.wakeStanzaThread() }
    }

    /// What was flushed before a close is still sent, as far as the link has capacity.
    private func giveLastWrites() {
        guard phase == .active, !isGivingWrites else { return }
        for promise in pendingWrites.drain(into: { link.accept(&$0, isLast: true) }).done { promise.succeed(()) }
    }

    private func writabilityChanged() {
        writableFlag.store(pendingWrites.isWritable, ordering: .relaxed)
        ownPipeline.syncOperations.fireChannelWritabilityChanged()
    }
}

extension BytestreamChannel: ChannelCore {
    func write0(_ data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard phase != .closed else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        guard let bytes = bytes(of: data) else {
            promise?.fail(ChannelError.operationUnsupported)
            return
        }
        if pendingWrites.append(bytes, promise: promise) { writabilityChanged() }
    }

    private func bytes(of data: NIOAny) -> ByteBuffer? {
        // Handlers for sockets may wrap their bytes once more; files have no place in a block.
        if let bytes = tryUnwrapData(data, as: ByteBuffer.self) { return bytes }
        guard case .byteBuffer(let bytes) = tryUnwrapData(data, as: IOData.self) else { return nil }
        return bytes
    }

    func flush0() {
        pendingWrites.flush()
        giveWrites()
    }

    func read0() {
        isReadWanted = true
        deliver()
    }

    func close0(error: any Error, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard case .all = mode else {
            promise?.fail(ChannelError.operationUnsupported)
            return
        }
        guard phase != .closed else {
            promise?.fail(ChannelError.alreadyClosed)
            return
        }
        giveLastWrites()
        shutDown(pendingWritesError: error, close: .orderly)
        promise?.succeed(())
    }

    func localAddress0() throws -> SocketAddress { throw ChannelError.operationUnsupported }

    func remoteAddress0() throws -> SocketAddress { throw ChannelError.operationUnsupported }

    func register0(promise: EventLoopPromise<Void>?) { promise?.fail(ChannelError.operationUnsupported) }

    func bind0(to: SocketAddress, promise: EventLoopPromise<Void>?) { promise?.fail(ChannelError.operationUnsupported) }

    func connect0(to: SocketAddress, promise: EventLoopPromise<Void>?) { promise?.fail(ChannelError.operationUnsupported) }

    func triggerUserOutboundEvent0(_ event: Any, promise: EventLoopPromise<Void>?) {
        promise?.fail(ChannelError.operationUnsupported)
    }

    // Bytes and errors that no handler wanted end here, as on NIO's own channels.
    func channelRead0(_ data: NIOAny) {}

    func errorCaught0(error: any Error) {}
}
