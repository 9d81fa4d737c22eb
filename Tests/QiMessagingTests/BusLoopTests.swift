import NIOPosix
import Testing

@testable import QiMessaging

@Suite(.timeLimit(.minutes(3)))
struct BusLoopTests {
    /// A program that connects and closes all day must not keep what each session worked with. The bus holds the executor.
    @Test func nothingIsLeftOfOneThatWasShutDown() async throws {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        weak var executor: LoopExecutor?
        do {
            let loop = BusLoop(on: eventLoop, logger: quiet)
            executor = loop.executor
            await loop.start()
            await loop.shutDown()
        }
        // What the loop had still to run is done before this.
        try await eventLoop.submit {}.get()
        #expect(executor == nil)
    }

    /// A handle may be kept longer than the threads: its end hands nothing to a thread that is gone.
    @Test func handleThatGoesAfterItsThreadsLeavesThemAlone() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        weak var executor: LoopExecutor?
        do {
            let loop = BusLoop(on: group.next(), logger: quiet)
            executor = loop.executor
            await loop.start()
            await loop.shutDown()
            try await group.shutdownGracefully()
        }
        #expect(executor == nil)
    }
}
