import Glibc
import Logging
import NIOPosix
import Synchronization
import Testing

@testable import XMPP

/// A client ends soon, whatever its thread is held up by.
@Suite(.timeLimit(.minutes(8)))
struct ShutdownTests {
    /// A resolver whose name servers do not answer: look-ups return when the test says so.
    private final class DeadResolver: Sendable {
        private struct State {
            var count = 0
            var isOver = false
        }

        private let state = Mutex(State())
        private let (begun, beginning) = AsyncStream.makeStream(of: Void.self)

        func lookUp() -> (addresses: [String], fault: String?) {
            state.withLock { $0.count += 1 }
            beginning.yield()
            while !state.withLock({ $0.isOver }) { usleep(1000) }
            return ([], "Temporary failure in name resolution")
        }

        var count: Int { state.withLock { $0.count } }
        func untilBegun() async { for await _ in begun { return } }
        func answer() { state.withLock { $0.isOver = true } }
    }

    @Test func aLookUpThatNobodyAnswersIsNotWaitedFor() async throws {
        let resolver = DeadResolver()
        var configuration = XMPPConfiguration(
            jid: try #require(JID("pepper@mesh.test")), password: "secret", server: .init(host: "xmpp.mesh.test", port: 5222))
        configuration.lookUp = { _ in resolver.lookUp() }
        weak var loop: StropheLoop?
        do {
            let client = XMPPClient(
                configuration: configuration, logger: Logger(label: "test"), eventLoopGroup: MultiThreadedEventLoopGroup.singleton)
            loop = client.host.loop
            let run = Task { try await client.run() }
            await resolver.untilBegun()
            let start = ContinuousClock.now
            // Its thread would not answer.
            await client.bytestreamsEnded(before: start + .seconds(60))
            client.shutdown()
            try await run.value
            #expect(ContinuousClock.now - start < .seconds(10))
            // It was not the look-up that ended.
            #expect(resolver.count == 1)
            #expect(loop != nil)
        }
        resolver.answer()
        // The thread ends by itself, asks for nothing more, and keeps nothing.
        let end = ContinuousClock.now + .seconds(20)
        while loop != nil, ContinuousClock.now < end { await Task.yield() }
        #expect(loop == nil)
        #expect(resolver.count == 1)
    }

    @Test func aClientThatWasStoppedBeforeItRanConnectsNowhere() async throws {
        let resolver = DeadResolver()
        resolver.answer()
        var configuration = XMPPConfiguration(
            jid: try #require(JID("pepper@mesh.test")), password: "secret", server: .init(host: "xmpp.mesh.test", port: 5222))
        configuration.lookUp = { _ in resolver.lookUp() }
        let client = XMPPClient(
            configuration: configuration, logger: Logger(label: "test"), eventLoopGroup: MultiThreadedEventLoopGroup.singleton)
        client.shutdown()
        try await client.run()
        #expect(resolver.count == 0)
        // It stays stopped.
        try await client.run()
        #expect(resolver.count == 0)
    }
}
