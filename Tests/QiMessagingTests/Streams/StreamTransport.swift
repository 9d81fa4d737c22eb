import NIOCore
import NIOPosix
import QiMeshTesting
@testable import QiMessaging
import QiWire
import Testing

/// Device streams as a transport, `stream://127.0.0.1:PORT`: their paths are loopback sockets, which a test may cut and replace.
struct StreamTransport: Transport {
    let schemes = ["stream"]
    /// How often the stream goes over to another path, while the one before still lives; nil: never.
    var moves: TimeAmount?
    /// Whether the path before is cut instead, with what is under way.
    var cuts = false
    /// Bytes that go into one frame.
    var piece = PathWidth.wide.piece
    private let sockets = SocketTransport()

    init(moves: TimeAmount? = nil, cuts: Bool = false, piece: Int = PathWidth.wide.piece) {
        self.moves = moves
        self.cuts = cuts
        self.piece = piece
    }

    func origin(of channel: any Channel, at endpoint: Endpoint, isServer: Bool) -> EventLoopFuture<ConnectionOrigin> {
        channel.eventLoop.makeSucceededFuture(ConnectionOrigin(by: PathKind("stream"), from: "127.0.0.1"))
    }

    private static func socket(_ endpoint: Endpoint) throws -> Endpoint {
        try #require(Endpoint("tcp://" + endpoint.text.split(separator: "/")[1]))
    }

    func connect(
        to endpoint: Endpoint, on eventLoop: any EventLoop, timeout: TimeAmount,
        configure: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) -> EventLoopFuture<any Channel> {
        eventLoop.flatSubmit { [self] in
            let stream = StreamChannel(id: .random(), limits: ConnectionLimits().stream(resume: .seconds(30)), on: eventLoop, logger: quiet)
            // A raw peer of the suite speaks the protocol itself, and tells of no login.
            stream.loggedIn()
            let opened = eventLoop.makePromise(of: (any Channel).self)
            let dialer = StreamDialer(self, stream, to: endpoint, opened)
            let bound = NIOLoopBound(dialer, eventLoop: eventLoop)
            return configure(stream).flatMap {
                bound.value.begin()
                return opened.futureResult
            }
        }
    }

    fileprivate func dial(_ endpoint: Endpoint, on eventLoop: any EventLoop, _ side: NIOLoopBound<any StreamPathHandler.Side>)
        -> EventLoopFuture<any Channel>
    {
        eventLoop.makeCompletedFuture { try Self.socket(endpoint) }.flatMap { address in
            sockets.connect(to: address, on: eventLoop, timeout: .seconds(5)) { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(StreamPathHandler(side.value)) }
            }
        }
    }

    func listen(
        at endpoint: Endpoint, on eventLoop: any EventLoop,
        configure: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) -> EventLoopFuture<TransportListening> {
        eventLoop.flatSubmit { [self] in
            let limits = ConnectionLimits().stream(resume: .seconds(30))
            let registry = NIOLoopBound(StreamRegistry(limits: limits, on: eventLoop, perDevice: 64, logger: quiet), eventLoop: eventLoop)
            let piece = piece
            return eventLoop.makeCompletedFuture { try Self.socket(endpoint) }.flatMap { address in
                sockets.listen(at: address, on: eventLoop) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let side = registry.value.side(
                            of: { StreamPath($0, .tcp) { PathWidth(piece: piece) } }, from: "device", program: "device/1", key: { "key" }, begin: { _ = configure($0) })
                        try channel.pipeline.syncOperations.addHandler(StreamPathHandler(side))
                    }
                }
            }
            .flatMapThrowing { socket in
                let renamed = try #require(Endpoint("stream://" + socket.endpoint.text.split(separator: "/")[1]))
                return TransportListening(at: renamed, ended: socket.ended, end: socket.end)
            }
        }
    }
}

/// Keeps a stream on a path, and changes it as the transport says.
private final class StreamDialer: StreamChannelOwner {
    private let transport: StreamTransport
    private let stream: StreamChannel
    private let endpoint: Endpoint
    private let eventLoop: any EventLoop
    private var opened: EventLoopPromise<any Channel>?
    private var mover: RepeatedTask?
    private var isDialing = false
    // The stream knows its owner weakly.
    private var own: StreamDialer?

    init(_ transport: StreamTransport, _ stream: StreamChannel, to endpoint: Endpoint, _ opened: EventLoopPromise<any Channel>) {
        self.transport = transport
        self.stream = stream
        self.endpoint = endpoint
        self.opened = opened
        eventLoop = stream.eventLoop
        stream.owner = self
        own = self
    }

    func begin() {
        dial(.open)
        guard let moves = transport.moves else { return }
        let own = NIOLoopBound(self, eventLoop: eventLoop)
        mover = eventLoop.scheduleRepeatedTask(initialDelay: moves, delay: moves) { _ in own.value.move() }
    }

    private func move() {
        guard opened == nil else { return }
        if transport.cuts, let path = stream.path { return path.channel.close(promise: nil) }
        dial(.resume)
    }

    private func dial(_ purpose: StreamHello.Purpose) {
        guard !isDialing, !stream.isOver else { return }
        isDialing = true
        let piece = transport.piece
        let opener = StreamOpener(stream, purpose, instance: 1, path: { StreamPath($0, .tcp) { PathWidth(piece: piece) } }) { [weak self] in self?.done($0) }
        transport.dial(endpoint, on: eventLoop, NIOLoopBound(opener, eventLoop: eventLoop)).assumeIsolated().whenFailure { [weak self] in
            self?.done(.failure(QiError(.offline, "\($0)")))
        }
    }

    private func done(_ result: Result<Void, QiError>) {
        isDialing = false
        switch result {
        case .success:
            opened?.succeed(stream)
            opened = nil
        case .failure(let error):
            if let opened {
                self.opened = nil
                opened.fail(error)
            }
            // The other side is gone for good in a test; a path that was cut at that moment learns it at the next, as on a ladder.
            stream.fail(error.code == .conflict ? QiError(.disconnected, "the other side gave the stream up", cause: error) : error)
        }
    }

    func lostPath(_ stream: StreamChannel, _ kind: PathKind, _ reason: String) { dial(.resume) }

    func ended(_ stream: StreamChannel) {
        mover?.cancel()
        own = nil
    }
}

/// The suite of ``TransportConformance`` over a device stream: on one path, on paths that change, and on paths that are cut.
@Suite(.timeLimit(.minutes(8)), .serialized)
struct StreamConformanceTests {
    @Test(arguments: TransportConformance.cases)
    func onOnePath(_ given: TransportConformance.Case) async throws {
        try await given.run(over: .endpoint("stream://127.0.0.1:0", transport: StreamTransport()))
    }

    @Test(arguments: TransportConformance.cases)
    func onPathsThatChange(_ given: TransportConformance.Case) async throws {
        try await given.run(over: .endpoint("stream://127.0.0.1:0", transport: StreamTransport(moves: .milliseconds(20), piece: 5000)))
    }

    @Test(arguments: TransportConformance.cases)
    func onPathsThatAreCut(_ given: TransportConformance.Case) async throws {
        try await given.run(over: .endpoint("stream://127.0.0.1:0", transport: StreamTransport(moves: .milliseconds(20), cuts: true)))
    }
}
