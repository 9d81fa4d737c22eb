import NIOCore
import NIOPosix
import QiWire
import Testing

@testable import QiMessaging

/// A directory elsewhere, whose user reaches it as a test says.
@Suite(.timeLimit(.minutes(8))) struct RemoteDirectoryTests {
    /// The first attempt lasts until its task is cancelled, every other one fails at once.
    private final class Scripted: RemoteDirectoryUser {
        private let begun: AsyncStream<Void>.Continuation
        private(set) var attempts = 0

        init(_ begun: AsyncStream<Void>.Continuation) { self.begun = begun }

        var isWanted: Bool { false }

        nonisolated(nonsending) func connect() async throws(QiError) -> Connection {
            attempts += 1
            begun.finish()
            if attempts > 1 { throw QiError(.offline, "attempt \(attempts)") }
            await untilCancelled()
            throw QiError(.offline, "the attempt was given up")
        }

        func joined(_ directory: RemoteObject, on connection: Connection) {}
        func removed(_ id: UInt32, _ name: String) {}
    }

    @Test func aCancelledCallerDoesNotEndTheAttemptThatOthersWaitFor() async throws {
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)
        await loop.start()
        let begun = AsyncStream.makeStream(of: Void.self)
        let continuation = begun.continuation
        let (remote, user) = try await loop.run { (bus) async throws(QiError) in
            let remote = RemoteDirectory(bus: bus, options: .init(name: "there", reason: QiError(.offline, "not yet")))
            let user = Scripted(continuation)
            remote.begin(for: user)
            return (NIOLoopBound(remote, eventLoop: bus.eventLoop), NIOLoopBound(user, eventLoop: bus.eventLoop))
        }
        let first = Task { try await loop.run { (_) async throws(QiError) in _ = try await remote.value.join() } }
        for await _ in begun.stream {}
        let others = (0..<3).map { _ in Task { try await loop.run { (_) async throws(QiError) in _ = try await remote.value.join() } } }
        // What is handed to the loop later runs later: the others wait by then.
        try await loop.run { (_) async throws(QiError) in }
        first.cancel()
        for other in others {
            let failure = await #expect(throws: QiError.self) { try await other.value }
            #expect(failure?.message.hasPrefix("attempt ") == true, "\(failure as Any)")
        }
        let attempts = try await loop.run { (_) async throws(QiError) in user.value.attempts }
        #expect(attempts > 1)
        await #expect(throws: QiError.self) { try await first.value }
        await loop.shutDown()
    }
}
