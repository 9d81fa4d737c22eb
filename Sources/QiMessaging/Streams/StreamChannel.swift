import DequeModule
import Logging
import NIOCore
import QiWire
import Synchronization

/// What a stream tells the side that looks after its paths.
protocol StreamChannelOwner: AnyObject {
    /// The path in use is gone; the stream waits for another one.
    func lostPath(_ stream: StreamChannel, _ kind: PathKind, _ reason: String)
    /// The stream has ended.
    func ended(_ stream: StreamChannel)
}

/// A device stream as a NIO channel: the qi protocol runs on it as on a socket, and it lives on when its path dies or a better one appears.
/// The rules are in ``StreamStateMachine``; this class carries out what it says.
///
/// Writes have to be messages of the qi protocol. A write's promise succeeds when everything written before it has left on some path, too.
/// A stream without a path keeps what is written, and stops to be writable as if its path were slow.
///
/// `@unchecked Sendable`: the event loop protects all state but the two atomics.
final class StreamChannel: Channel, @unchecked Sendable {
    /// Bytes that may wait before the channel stops to be writable, beside the longest message: a long answer does not keep the peer's next
    /// calls from being read.
    private static let highWater = 4 << 20
    /// Bytes that may wait before the stream ends: the peer does not take what it asked for.
    private static let mostQueued = 256 << 20
    /// Bytes given to a wide path at a time.
    private static let burst = 64 * 1024
    /// How long a stream that was closed may take to send the rest.
    private static let lingering = TimeAmount.seconds(5)

    private enum Phase {
        case starting
        case active
        /// Closed here; what was written is still sent.
        case closing
        case closed
    }

    let eventLoop: any EventLoop
    let allocator = ByteBufferAllocator()
    let id: StreamID
    let logger: Logger
    private(set) var machine: StreamStateMachine
    private(set) var path: StreamPath?
    weak var owner: (any StreamChannelOwner)?
    /// What all streams of the device hold together; a stream that we open is bounded by itself.
    var holding: StreamHolding?
    private var heldBytes = 0 {
        didSet { holding?.change(by: heldBytes - oldValue) }
    }
    /// Of one that a device opened: what there did.
    var opener: StreamProcess?
    /// How often it went on over a path after the first.
    private(set) var resumptions = 0
    var autoRead = true

    private let closePromise: EventLoopPromise<Void>
    private let activeFlag = Atomic(false)
    private let writableFlag = Atomic(true)
    private var phase = Phase.starting
    private var splitter: StreamMessageSplitter
    /// Whom calls and posts are from that are written next.
    var clients = StreamClients()
    private var promises = Deque<(serial: UInt64, promise: EventLoopPromise<Void>)>()
    private var isReadWanted = false
    private var isDelivering = false
    private var isPumping = false
    private var askers: [UnsafeContinuation<Void, Never>] = []
    private var upRate = StreamRate()
    private var downRate = StreamRate()
    private var timer: (at: NIODeadline, task: Scheduled<Void>)?
    // A pipeline is made from its channel, so it cannot be a `let`; set in `init` and never again.
    private var ownPipeline: ChannelPipeline!

    init(id: StreamID, limits: StreamStateMachine.Limits, on eventLoop: any EventLoop, logger: Logger) {
        self.id = id
        self.eventLoop = eventLoop
        self.logger = logger
        splitter = StreamMessageSplitter(longest: limits.receiving.message)
        machine = StreamStateMachine(limits, longest: Capabilities.maximumBytes + MessageHeader.length, at: .now())
        closePromise = eventLoop.makePromise()
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
    /// Whether it has ended, or is about to.
    var isOver: Bool { phase == .closing || phase == .closed }

    // MARK: Paths

    /// Goes on over this path: the greetings are exchanged. The path before is closed.
    ///
    /// - Parameters: as ``StreamStateMachine/attached(peer:first:question:at:)``.
    func attach(_ path: StreamPath, peer: (received: UInt64, window: Int), first: UInt64) {
        guard phase != .closed else { return path.channel.close(promise: nil) }
        do throws(StreamFault) {
            // A question costs a wide path nothing, and some proxies keep the last bytes until others follow (Prosody's mod_proxy65).
            try machine.attached(peer: peer, first: first, question: path.width().isWide ? .seconds(1) : nil, at: .now())
        } catch {
            path.channel.close(promise: nil)
            return fail(QiError(.disconnected, "the other side of the stream does not keep to its rules: \(error)"))
        }
        let before = self.path
        self.path = path
        before?.channel.close(promise: nil)
        if phase == .starting { activate() } else { resumptions += 1 }
        if before?.kind != path.kind { ownPipeline.fireUserInboundEventTriggered(StreamPathChanged(kind: path.kind)) }
        goOn()
    }

    /// Leaves the path in use, without a word, because the peer goes on over another one: how many frames came by then.
    func leavePath() -> UInt64 {
        machine.detached(at: .now())
        let before = path
        path = nil
        answerAskers()
        before?.channel.close(promise: nil)
        deliver()
        return machine.receiver.received
    }

    /// The channel of a path has ended.
    func pathEnded(_ channel: any Channel, _ reason: String) {
        guard let path, path.channel === channel else { return }
        self.path = nil
        machine.detached(at: .now())
        answerAskers()
        guard phase != .closed else { return }
        // What came whole before the end is read.
        deliver()
        guard phase != .closed else { return }
        if phase == .closing { return finish(nil) }
        logger.info("path lost", metadata: metadata([LogKeys.path: "\(path.kind)", LogKeys.error: "\(reason)"]))
        goOn()
        owner?.lostPath(self, path.kind, reason)
    }

    private func activate() {
        ownPipeline.syncOperations.fireChannelRegistered()
        phase = .active
        activeFlag.store(true, ordering: .relaxed)
        ownPipeline.syncOperations.fireChannelActive()
        if autoRead { ownPipeline.syncOperations.read() }
    }

    func metadata(_ more: Logger.Metadata) -> Logger.Metadata {
        var metadata = more
        metadata["qi.stream"] = "\(id)"
        return metadata
    }

    // MARK: Life

    /// The stream ends at once, with that error for what runs on it.
    func fail(_ error: QiError) {
        guard phase == .starting || phase == .active else { return finish(error) }
        ownPipeline.syncOperations.fireErrorCaught(error)
        finish(error)
    }

    /// The end, once.
    private func finish(_ error: QiError?) {
        guard phase != .closed else { return }
        let wasActive = phase != .starting
        phase = .closed
        activeFlag.store(false, ordering: .relaxed)
        writableFlag.store(false, ordering: .relaxed)
        timer?.task.cancel()
        timer = nil
        answerAskers()
        heldBytes = 0
        for waiting in promises { waiting.promise.fail(error ?? ChannelError.ioOnClosedChannel) }
        promises.removeAll()
        let last = path
        path = nil
        last?.channel.close(promise: nil)
        if wasActive {
            ownPipeline.syncOperations.fireChannelInactive()
            ownPipeline.syncOperations.fireChannelUnregistered()
        }
        owner?.ended(self)
        // Handlers may still be on the stack; they are removed when it has unwound.
        eventLoop.execute {
            self.removeHandlers(pipeline: self.ownPipeline)
            self.closePromise.succeed(())
        }
    }

    /// Writes what may be written, arranges for the time, and tells who waits.
    private func goOn() {
        pump()
        updateWritability()
        arm()
    }

    private func arm() {
        guard phase != .closed else { return }
        let deadline = machine.deadline(from: .now())
        if let timer, timer.at <= deadline { return }
        timer?.task.cancel()
        let task = eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [weak self] () -> Void in self?.onTimer() }
        timer = (deadline, task)
    }

    private func onTimer() {
        timer = nil
        switch machine.tick(at: .now()) {
        case .nothing: goOn()
        case .pathIsDead:
            guard let path else { return }
            path.channel.close(promise: nil)
            let silence = machine.limits.liveness.death.nanoseconds / 1_000_000_000
            pathEnded(path.channel, "nothing came for \(silence) s, with something unanswered")
        case .expired:
            fail(QiError(.disconnected, "there was no path to the other side for \(machine.limits.resume.nanoseconds / 1_000_000_000) s"))
        }
    }

    /// Measures the round trip of the path in use: nil when no answer comes by `end`, or the path is lost before.
    nonisolated(nonsending) func measured(until end: NIODeadline) async -> TimeAmount? {
        guard path != nil, phase == .active else { return nil }
        let before = machine.pongs
        var timer: Scheduled<Void>?
        // All inside, for what ends the wait may come on the way there.
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            askers.append(continuation)
            timer = eventLoop.assumeIsolated().scheduleTask(deadline: end) { [weak self] () -> Void in self?.answerAskers() }
            machine.ask(at: .now())
            goOn()
        }
        timer?.cancel()
        return machine.pongs != before ? machine.lastRoundTrip : nil
    }

    /// Asks a wide path whether it still is one, when nothing came on it for so long. One question at a time.
    func ask(after silence: TimeAmount) {
        guard phase == .active, let path, path.width().isWide else { return }
        let now = NIODeadline.now()
        guard let heard = machine.lastHeard, now - heard >= silence else { return }
        machine.ask(at: now)
        goOn()
    }

    private func answerAskers() {
        let waiting = askers
        askers = []
        for asker in waiting { asker.resume() }
    }

    /// Bytes per second each way, the most of two seconds of the last minute.
    var rates: (up: Double, down: Double) { (upRate.most(at: .now()), downRate.most(at: .now())) }

    // MARK: Receiving

    /// Bytes came on a path.
    func heard(_ channel: any Channel) {
        if path?.channel === channel { machine.heard(at: .now()) }
    }

    /// A frame came on a path; others may follow until ``readComplete(_:)``.
    func received(_ frame: StreamFrame, on channel: any Channel) {
        guard phase != .closed, path?.channel === channel else { return }
        let (confirmed, received, pongs) = (machine.sender.confirmedBytes, machine.receiver.receivedBytes, machine.pongs)
        let now = NIODeadline.now()
        defer {
            if phase != .closed { heldBytes = machine.receiver.unfinishedBytes }
            upRate.add(Int(machine.sender.confirmedBytes - confirmed), at: now)
            downRate.add(Int(machine.receiver.receivedBytes - received), at: now)
            if machine.pongs != pongs { answerAskers() }
        }
        do throws(StreamFault) {
            try machine.received(frame, elsewhere: holding.map { $0.bytes - heldBytes } ?? 0, at: now)
        } catch {
            logger.notice("stream ended by a fault of the peer", metadata: metadata([LogKeys.error: "\(error)"]))
            fail(QiError(.disconnected, "the other side of the stream does not keep to its rules: \(error)"))
        }
    }

    func pathIsWritable(_ channel: any Channel) {
        guard phase != .closed, path?.channel === channel else { return }
        goOn()
    }

    func readComplete(_ channel: any Channel) {
        guard phase != .closed, path?.channel === channel else { return }
        deliver()
        goOn()
    }

    private func deliver() {
        guard !isDelivering else { return }
        isDelivering = true
        while phase == .active, isReadWanted, machine.receiver.hasReady {
            isReadWanted = false
            while phase == .active, let message = machine.popReady() { ownPipeline.syncOperations.fireChannelRead(NIOAny(message)) }
            if phase == .active { ownPipeline.syncOperations.fireChannelReadComplete() }
            if phase == .active, autoRead { ownPipeline.syncOperations.read() }
        }
        isDelivering = false
        if machine.receiver.hasReady { machine.keepReady() }
        guard let reason = machine.receiver.ended, phase == .closing || !machine.receiver.hasReady else { return }
        logger.debug("stream ended by the peer", metadata: metadata([LogKeys.error: "\(reason)"]))
        // It waits for this confirmation only.
        pump()
        finish(nil)
    }

    // MARK: Withdrawing

    /// Takes a call of ours back that was cancelled. False when all of it has left.
    func withdraw(callOf id: UInt32, to target: ObjectAddress) -> Bool {
        guard machine.withdraw(callOf: id, to: target) != nil else { return false }
        goOn()
        return true
    }

    /// Takes an answer back whose call was cancelled, if it is longer than that and has not all left: its header.
    func withdraw(answerTo id: UInt32, of target: ObjectAddress, longerThan least: Int) -> MessageHeader? {
        guard let message = machine.withdraw(answerTo: id, of: target, longerThan: least) else { return nil }
        goOn()
        return message.header
    }

    /// The peer has logged in: its messages may be as long as the limits say.
    func loggedIn() { machine.loggedIn() }

    // MARK: Sending

    private func pump() {
        guard !isPumping else { return }
        isPumping = true
        defer { isPumping = false }
        while let path, path.channel.isWritable {
            let width = path.width()
            machine.keep(most: width.unconfirmed(over: machine.roundTrip))
            guard machine.hasToWrite(at: .now()) else { break }
            let piece = max(1, width.piece)
            var bytes = path.channel.allocator.buffer(capacity: piece + 1024)
            machine.write(to: &bytes, piece: piece, most: width.isWide ? Self.burst : piece, at: .now())
            guard bytes.readableBytes > 0 else { break }
            path.channel.writeAndFlush(bytes, promise: nil)
        }
        tellSent()
        if phase == .closing, !machine.sender.hasMore, !machine.sender.isAwaiting { finish(nil) }
    }

    private func tellSent() {
        while let first = promises.first, first.serial <= machine.sender.sentUpTo {
            promises.removeFirst()
            first.promise.succeed(())
        }
    }

    private func updateWritability() {
        guard phase == .active else { return }
        let sender = machine.sender
        let isWritable = sender.queuedBytes - sender.largestQueued <= Self.highWater
        guard isWritable != self.isWritable else { return }
        writableFlag.store(isWritable, ordering: .relaxed)
        ownPipeline.syncOperations.fireChannelWritabilityChanged()
    }
}

extension StreamChannel: ChannelCore {
    func write0(_ data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard phase == .active else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        guard let bytes = tryUnwrapData(data, as: ByteBuffer.self) else {
            promise?.fail(ChannelError.operationUnsupported)
            return
        }
        do throws(WireError) {
            try splitter.append(bytes) { message in
                var message = message
                message.client = clients.take(message.header)
                _ = machine.append(message)
            }
        } catch {
            promise?.fail(error)
            return fail(QiError(.invalid, "what was written to the stream is not allowed: \(error.message)"))
        }
        if let promise { promises.append((machine.sender.nextSerial, promise)) }
        if machine.sender.queuedBytes > Self.mostQueued {
            fail(QiError(.limit, "the other side does not take what it asked for: \(machine.sender.queuedBytes) bytes wait for it"))
        }
    }

    func flush0() {
        guard phase == .active else { return }
        goOn()
    }

    func read0() {
        isReadWanted = true
        guard !isDelivering else { return }
        deliver()
        // What was taken may be confirmed.
        if phase != .closed { goOn() }
    }

    func close0(error: any Error, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard case .all = mode else {
            promise?.fail(ChannelError.operationUnsupported)
            return
        }
        guard !isOver else {
            promise?.fail(ChannelError.alreadyClosed)
            return
        }
        promise?.succeed(())
        guard phase == .active, path != nil else { return finish(nil) }
        phase = .closing
        machine.end("closed")
        eventLoop.assumeIsolated().scheduleTask(in: Self.lingering) { [weak self] () -> Void in self?.finish(nil) }
        pump()
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
