import Logging
import NIOCore
import QiMeshTesting
import Synchronization
import Testing

@testable import QiMesh
@testable import QiMessaging

/// Device streams as a transport, `paths://desk`, on paths as they are in life (``LivePaths``), which it changes under them.
struct PathTransport: Transport {
    let schemes = ["paths"]
    let paths: LivePaths
    /// The kinds of paths, one after the other.
    let kinds: [LivePaths.Kind]
    /// How often a stream goes over to the next kind; nil: never.
    var moves: TimeAmount?
    /// What is done to the path in use instead, in turn; the stream then has to notice, and goes over to the next kind.
    var harms: [PathHarm] = []
    /// When a path is taken for dead.
    var liveness = StreamLiveness.Times()

    init(
        _ paths: LivePaths, _ kinds: [LivePaths.Kind], moves: TimeAmount? = nil, harms: [PathHarm] = [],
        liveness: StreamLiveness.Times = StreamLiveness.Times()
    ) {
        self.paths = paths
        self.kinds = kinds
        self.moves = moves
        self.harms = harms
        self.liveness = liveness
    }

    var limits: StreamStateMachine.Limits {
        var limits = ConnectionLimits().stream(resume: .seconds(30))
        limits.liveness = liveness
        return limits
    }

    static var quiet: Logger { Logger(label: "paths", factory: { _ in SwiftLogNoOpLogHandler() }) }

    func origin(of channel: any Channel, at endpoint: Endpoint, isServer: Bool) -> EventLoopFuture<ConnectionOrigin> {
        channel.eventLoop.makeSucceededFuture(ConnectionOrigin(by: PathKind("paths"), from: "robot"))
    }

    func connect(
        to endpoint: Endpoint, on eventLoop: any EventLoop, timeout: TimeAmount,
        configure: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) -> EventLoopFuture<any Channel> {
        eventLoop.flatSubmit { [self] in
            let stream = StreamChannel(id: .random(), limits: limits, on: eventLoop, logger: Self.quiet)
            // A raw peer of the suite speaks the protocol itself, and tells of no login.
            stream.loggedIn()
            let opened = eventLoop.makePromise(of: (any Channel).self)
            let mover = NIOLoopBound(PathMover(self, stream, opened), eventLoop: eventLoop)
            return configure(stream).flatMap {
                mover.value.begin()
                return opened.futureResult
            }
        }
    }

    func listen(
        at endpoint: Endpoint, on eventLoop: any EventLoop,
        configure: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) -> EventLoopFuture<TransportListening> {
        eventLoop.submit { [self] in
            let registry = NIOLoopBound(
                StreamRegistry(limits: limits, on: eventLoop, perDevice: 64, logger: Self.quiet), eventLoop: eventLoop)
            let device = "\(paths.robot.jid)"
            paths.accept(on: eventLoop) { [paths] channel, kind, key in
                for stream in registry.value.streams(of: device) { paths.record.withLock { $0.look(at: stream) } }
                let side = registry.value.side(
                    of: { StreamPath($0, kind.path) { paths.width(of: kind, paths.desk.client) } }, from: device, program: device + "/1",
                    key: { key.fingerprint?.hexadecimal }, begin: { _ = configure($0) })
                try channel.pipeline.syncOperations.addHandler(StreamPathHandler(side))
            }
            let ended = eventLoop.makePromise(of: Void.self)
            return TransportListening(at: endpoint, ended: ended.futureResult) { ended.succeed() }
        }
    }
}

/// Keeps one stream on paths, and changes them as the transport says.
private final class PathMover: StreamChannelOwner {
    private let transport: PathTransport
    private let stream: StreamChannel
    private let eventLoop: any EventLoop
    private var opened: EventLoopPromise<any Channel>?
    private var timer: RepeatedTask?
    private var isOpening = false
    private var turn = 0
    private var harms = 0
    // Of the path that was opened last.
    private var silence = SilentHandler()
    private var cut = CutHandler()
    // The stream knows its owner weakly.
    private var own: PathMover?

    init(_ transport: PathTransport, _ stream: StreamChannel, _ opened: EventLoopPromise<any Channel>) {
        self.transport = transport
        self.stream = stream
        self.opened = opened
        eventLoop = stream.eventLoop
        stream.owner = self
        own = self
    }

    func begin() {
        goOn(.open)
        guard let moves = transport.moves else { return }
        let own = NIOLoopBound(self, eventLoop: eventLoop)
        timer = eventLoop.scheduleRepeatedTask(initialDelay: moves, delay: moves) { _ in own.value.move() }
    }

    private func move() {
        guard opened == nil, !isOpening, !stream.isOver, stream.path != nil else { return }
        transport.paths.record.withLock { $0.look(at: stream) }
        guard !transport.harms.isEmpty else { return goOn(.resume) }
        guard !silence.isSilent, cut.harm == nil else { return }
        let harm = transport.harms[harms % transport.harms.count]
        harms += 1
        transport.paths.record.withLock { $0.harmed += 1 }
        if harm == .silence { silence.isSilent = true } else { cut.harm = harm }
    }

    /// Opens a path of the next kind.
    private func goOn(_ purpose: StreamHello.Purpose) {
        guard !isOpening, !stream.isOver else { return }
        isOpening = true
        let kind = transport.kinds[turn % transport.kinds.count]
        turn += 1
        let attempt = turn
        let (silence, cut) = (SilentHandler(), CutHandler())
        let handlers = NIOLoopBound((outer: silence, inner: cut), eventLoop: eventLoop)
        let paths = transport.paths
        let opener = StreamOpener(
            stream, purpose, instance: 1, path: { StreamPath($0, kind.path) { paths.width(of: kind, paths.robot.client) } }
        ) { [self] in
            if case .success = $0 {
                paths.record.withLock { $0.taken[kind, default: 0] += 1 }
                (self.silence, self.cut) = (silence, cut)
            }
            done(attempt, $0.mapError { $0 as any Error })
        }
        let side = NIOLoopBound(opener, eventLoop: eventLoop)
        let own = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.makeFutureWithTask { [eventLoop] in
            try await paths.open(
                kind, on: eventLoop, outer: { try $0.pipeline.syncOperations.addHandler(handlers.value.outer) },
                install: {
                    try $0.pipeline.syncOperations.addHandlers([handlers.value.inner, StreamPathHandler(side.value)])
                })
        }.whenFailure { own.value.done(attempt, .failure($0)) }
    }

    /// The attempt came to its end; what is told of it later is of no use.
    private func done(_ attempt: Int, _ result: Result<Void, any Error>) {
        guard isOpening, attempt == turn else { return }
        isOpening = false
        switch result {
        case .success:
            opened?.succeed(stream)
            opened = nil
        case .failure(let error):
            guard !stream.isOver else { return }
            transport.paths.record.withLock { $0.failures.append("\(error)") }
            if let opened {
                self.opened = nil
                opened.fail(error)
                return stream.fail(QiError(.offline, "\(error)"))
            }
            if (error as? QiError)?.code == .conflict { return stream.fail(QiError(.disconnected, "\(error)")) }
            if stream.path == nil { goOn(.resume) }
        }
    }

    func lostPath(_ stream: StreamChannel, _ kind: PathKind, _ reason: String) { goOn(.resume) }

    func ended(_ stream: StreamChannel) {
        timer?.cancel()
        own = nil
    }
}
