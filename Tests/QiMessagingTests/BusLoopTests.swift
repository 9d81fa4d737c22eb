import NIOPosix
import Synchronization
import Testing

@testable import QiMessaging

@Suite(.timeLimit(.minutes(8)))
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

    /// One task runs what waits until it suspends: then another one goes on.
    @Test func workThatSuspendsLeavesTheRestToTheNextWorker() async throws {
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)
        let steps = AsyncStream.makeStream(of: String.self)
        await loop.perform { bus in
            let gate = AsyncStream.makeStream(of: Void.self)
            bus.enqueue {
                steps.continuation.yield("first begins")
                for await _ in gate.stream { break }
                steps.continuation.yield("first ends")
            }
            bus.enqueue { steps.continuation.yield("second") }
            bus.enqueue {
                gate.continuation.yield()
                steps.continuation.yield("third")
            }
        }
        var seen: [String] = []
        for await step in steps.stream {
            seen.append(step)
            if seen.count == 4 { break }
        }
        #expect(seen == ["first begins", "second", "third", "first ends"])
        await loop.shutDown()
    }

    /// It leaves a job on the loop at any time.
    @Test func workThatNeverLeavesTheLoopIdleDoesNotHoldUpTheRest() async throws {
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)
        let ended = AsyncStream.makeStream(of: Void.self)
        await loop.perform { bus in
            let hasRun = Shared(false)
            bus.enqueue {
                while !hasRun.value {
                    async let child: Void = Task.yield()
                    await child
                }
                ended.continuation.yield()
            }
            bus.enqueue { hasRun.value = true }
        }
        for await _ in ended.stream { break }
        await loop.shutDown()
    }

    /// A worker that waits for the next job keeps nothing of the last.
    @Test func nothingIsLeftOfACallWhoseWorkerIsIdle() async throws {
        try await withDirectory { directory, endpoint in
            var builder = ObjectBuilder()
            builder.advertiseMethod("echo", "(s)", returns: "s") { arguments, _ in arguments[0] }
            var hosted: HostedObject? = try await directory.register(builder, as: "Echo")
            weak let object = hosted?.object
            try await withSession(endpoint) { session in
                let service = try await session.service("Echo")
                _ = try await service.call("echo", arguments: [.string("a")])
            }
            if let last = hosted { try await directory.unregister(last) }
            hosted = nil
            // The connection ends in the directory a moment after the session.
            for _ in 0..<200 where object != nil { try await endsOfConnections(at: endpoint) }
            #expect(object == nil)
        }
    }

    /// One more connection comes and goes.
    private func endsOfConnections(at endpoint: Endpoint) async throws {
        try await withSession(endpoint) { session in _ = try await session.services() }
    }

    /// Somebody may wait for it, and one piece of it for another.
    @Test(arguments: [0, 3]) func workThatWasTakenBeforeTheShutdownRuns(idleWorkers: Int) async throws {
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)
        await workers(idleWorkers, of: loop)
        let ran = AsyncStream.makeStream(of: Int.self)
        await loop.perform { bus in
            let first = Shared<UnsafeContinuation<Void, Never>?>(nil)
            bus.enqueue {
                await withUnsafeContinuation { first.value = $0 }
                ran.continuation.yield(1)
            }
            bus.enqueue { ran.continuation.yield(2) }
            bus.enqueue {
                ran.continuation.yield(3)
                first.value?.resume()
            }
            bus.shutDown()
            bus.enqueue { ran.continuation.yield(4) }
        }
        await loop.shutDown()
        ran.continuation.finish()
        var seen: [Int] = []
        for await number in ran.stream { seen.append(number) }
        #expect(seen == [2, 3, 1])
    }

    /// Has the pool grow to so many workers, which are idle then.
    private func workers(_ count: Int, of loop: BusLoop) async {
        let running = AsyncStream.makeStream(of: Void.self)
        let gate = AsyncStream.makeStream(of: Void.self)
        await loop.perform { bus in
            for _ in 0..<count {
                bus.enqueue {
                    running.continuation.yield()
                    for await _ in gate.stream { break }
                }
            }
        }
        var left = count
        guard left > 0 else { return }
        for await _ in running.stream {
            left -= 1
            if left == 0 { break }
        }
        gate.continuation.finish()
    }

    /// As one that is stopped may have such work under way.
    @Test func workOffTheLoopEndsBeforeTheShutdownReturns() async throws {
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)
        let job = WaitingJob()
        await loop.perform { bus in bus.offLoop.run(job) }
        for await _ in job.begun.stream { break }
        await loop.shutDown()
        let wasCancelled = job.wasCancelled.load(ordering: .sequentiallyConsistent)
        #expect(wasCancelled)
    }
}

/// A value of one event loop.
private final class Shared<Value> {
    var value: Value
    init(_ value: Value) { self.value = value }
}

/// Work off the loop that waits until it is cancelled.
private final class WaitingJob: OffLoopJob {
    let begun = AsyncStream.makeStream(of: Void.self)
    let wasCancelled = Atomic(false)

    func begins(on worker: Worker) {}
    func ended() {}

    func run() async {
        begun.continuation.yield()
        for await _ in AsyncStream<Void>.makeStream().stream {}
        wasCancelled.store(Task.isCancelled, ordering: .sequentiallyConsistent)
    }
}
