import NIOCore
import QiMeshTesting
import QiMessaging
import Testing

@testable import XMPP

/// In-band bytestreams between two clients that are joined in memory, as a transport: `ibb://desk`.
private struct BytestreamTransport: Transport {
    let schemes = ["ibb"]
    let pair: ThreadedPair

    func connect(
        to endpoint: Endpoint, on eventLoop: any EventLoop, timeout: TimeAmount,
        configure: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) -> EventLoopFuture<any Channel> {
        let opened = eventLoop.makePromise(of: (any Channel).self)
        let (robot, desk) = (pair.robot, pair.desk.jid)
        robot.thread.execute {
            robot.bytestreams.jingle.open(
                to: desk, application: JoinedPair.application, on: eventLoop, timeout: timeout, initializer: configure,
                completion: { result in opened.completeWith(result.mapError { $0 as any Error }) })
        }
        return opened.futureResult
    }

    func listen(
        at endpoint: Endpoint, on eventLoop: any EventLoop,
        configure: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) -> EventLoopFuture<TransportListening> {
        let desk = pair.desk
        let ended = eventLoop.makePromise(of: Void.self)
        // As a session does: without it blocks that a reader leaves unread hold up all others.
        for side in [pair.robot, pair.desk] {
            side.thread.scheduleRepeatedTask(initialDelay: .milliseconds(250), delay: .milliseconds(250)) { _ in
                side.sink.expire()
                side.bytestreams.tick()
            }
        }
        return desk.thread.submit {
            desk.bytestreams.jingle.setHandler(applicationNamespace: JoinedPair.namespace, on: eventLoop) { _ in .accept(configure) }
            return TransportListening(at: endpoint, ended: ended.futureResult) { ended.succeed() }
        }.hop(to: eventLoop)
    }
}

/// The suite of ``TransportConformance`` over the in-band bytestream that calls between devices travel on.
// One after the other: each moves megabytes through base64 and stanzas.
@Suite(.timeLimit(.minutes(8)), .serialized)
struct BytestreamConformanceTests {
    @Test(arguments: TransportConformance.cases)
    func inBand(_ given: TransportConformance.Case) async throws {
        try await ThreadedPair.with { pair in
            try await given.run(over: .endpoint("ibb://desk", transport: BytestreamTransport(pair: pair)))
        }
    }
}
