import Logging
import NIOCore
import NIOPosix
import Testing

@testable import XMPP

/// The bytestreams of two clients, joined in memory with threads as in life: each has a stanza thread of its own and its channels live on two
/// further event loops.
final class ThreadedPair: Sendable {
    /// One of the two sides.
    final class Side: Sendable {
        let jid: JID
        let thread: any EventLoop
        let loop: any EventLoop
        let sink: JoinedSink
        let bytestreams: Bytestreams

        init(_ jid: JID, thread: any EventLoop, loop: any EventLoop, limits: BytestreamLimits) {
            self.jid = jid
            self.thread = thread
            self.loop = loop
            sink = JoinedSink(ownJID: jid)
            bytestreams = Bytestreams(
                sink: sink, executor: Executor(loop: thread), limits: limits, logger: Logger(label: "test"))
        }

        /// Runs work on the stanza thread and waits for it.
        func perform(_ work: @escaping @Sendable (Side) -> Void) async throws {
            try await thread.submit { work(self) }.get()
        }
    }

    private struct Executor: StanzaExecutor {
        let loop: any EventLoop
        func execute(_ work: @escaping @Sendable () -> Void) { loop.execute(work) }
    }

    let robot: Side
    let desk: Side
    private let group: MultiThreadedEventLoopGroup

    private init(limits: BytestreamLimits) throws {
        group = MultiThreadedEventLoopGroup(numberOfThreads: 4)
        robot = Side(
            try #require(JID("robot@mesh.test/r1")), thread: group.next(), loop: group.next(), limits: limits)
        desk = Side(try #require(JID("desk@mesh.test/d1")), thread: group.next(), loop: group.next(), limits: limits)
        ThreadedPair.join(robot, to: desk)
        ThreadedPair.join(desk, to: robot)
    }

    private static func join(_ from: Side, to: Side) {
        from.sink.transmit = { peer, stanza in
            if peer == to.jid {
                to.thread.execute { to.bytestreams.handle(stanza, at: to.sink) }
            } else if case .request(let iq) = stanza {
                from.thread.execute { from.sink.answered(from: peer, id: iq.id, .success(nil)) }
            }
        }
    }

    /// Runs a test with a pair and ends its threads.
    static func with(
        limits: BytestreamLimits = BytestreamLimits(), _ body: (ThreadedPair) async throws -> Void
    ) async throws {
        let pair = try ThreadedPair(limits: limits)
        do {
            try await body(pair)
        } catch {
            try await pair.end()
            throw error
        }
        try await pair.end()
    }

    /// Ends both sides, then their threads: what still runs between them would be handed to threads that are gone.
    private func end() async throws {
        for side in [robot, desk] {
            try await side.perform { side in
                side.sink.transmit = { _, _ in }
                side.bytestreams.disconnected(XMPPError(.cancelled, "the test is over"))
            }
        }
        // What that has handed to the other threads is done before they end.
        for _ in 0..<2 {
            for side in [robot, desk] {
                try await side.thread.submit {}.get()
                try await side.loop.submit {}.get()
            }
        }
        try await group.shutdownGracefully()
    }

    /// Desk takes every offer and installs these handlers.
    func acceptAtDesk(_ handlers: @escaping @Sendable (any Channel) throws -> Void) async throws {
        try await desk.perform { desk in
            desk.bytestreams.jingle.setHandler(applicationNamespace: JoinedPair.namespace, on: desk.loop) { _ in
                .accept { channel in channel.eventLoop.makeCompletedFuture { try handlers(channel) } }
            }
        }
    }

    /// Opens a bytestream from robot to desk and installs these handlers on robot's end.
    func open(_ handlers: @escaping @Sendable (any Channel) throws -> Void) async throws -> any Channel {
        let promise = robot.loop.makePromise(of: (any Channel).self)
        try await robot.perform { robot in
            robot.bytestreams.jingle.open(
                to: self.desk.jid, application: JoinedPair.application, on: robot.loop, timeout: .seconds(30),
                initializer: { channel in channel.eventLoop.makeCompletedFuture { try handlers(channel) } },
                completion: { result in promise.completeWith(result.mapError { $0 as any Error }) })
        }
        return try await promise.futureResult.get()
    }
}

/// Writes back what it reads, once per burst.
final class EchoHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { context.write(data, promise: nil) }
    func channelReadComplete(context: ChannelHandlerContext) { context.flush() }
}

/// Collects until so many bytes have come.
final class CollectHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private var bytes = ByteBuffer()
    private let count: Int
    private let promise: EventLoopPromise<ByteBuffer>

    init(_ count: Int, _ promise: EventLoopPromise<ByteBuffer>) {
        self.count = count
        self.promise = promise
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        bytes.writeImmutableBuffer(unwrapInboundIn(data))
        if bytes.readableBytes >= count { promise.succeed(bytes) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        promise.fail(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        promise.fail(ChannelError.eof)
        context.fireChannelInactive()
    }
}
