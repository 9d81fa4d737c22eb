import Dispatch
import NIOCore
import NIOPosix
@testable import QiMessaging
import Synchronization
import Testing

/// Events that an emitter raises faster than the loop of their subscribers takes them.
@Suite(.timeLimit(.minutes(8))) struct EmissionQueueTests {
    private final class Target: EmissionTarget, Sendable {
        let missed = Mutex<[Int]>([])
        func deliver(_ emission: Emission) { missed.withLock { $0.append(emission.missed) } }
    }

    @Test func whatDidNotFitIsToldByTheNextEventOfItsSignalAndNotToALaterSubscriber() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let target = Target()
        let queue = try await loop.submit {
            let queue = EmissionQueue(target, on: LoopExecutor(loop), logger: quiet)
            queue.setSubscribed([1, 2])
            return queue
        }.get()
        func raise(_ signal: UInt32) { queue.push(Emission(signal: signal, arguments: [], payload: nil)) }
        // A loop of its own, which takes nothing meanwhile.
        let free = DispatchSemaphore(value: 0)
        loop.execute { free.wait() }
        for _ in 0..<65_536 + 3 { raise(1) }
        raise(2)
        free.signal()
        try await loop.submit {}.get()
        #expect(target.missed.withLock { $0.allSatisfy { $0 == 0 } && $0.count == 65_536 })
        raise(1)
        raise(1)
        try await loop.submit {
            queue.setSubscribed([1])
            queue.setSubscribed([1, 2])
        }.get()
        raise(2)
        try await loop.submit {}.get()
        #expect(target.missed.withLock { Array($0.dropFirst(65_536)) } == [3, 0, 0])
        try await group.shutdownGracefully()
    }
}
