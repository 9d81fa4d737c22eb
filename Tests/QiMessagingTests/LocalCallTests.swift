import Glibc
@testable import QiMessaging
import QiWire
import Synchronization
import Testing

/// Calls within the process of methods that may take their time.
@Suite(.timeLimit(.minutes(8)))
struct LocalCallTests {
    /// Where a method ran.
    private final class Places: Sendable {
        let thread = Mutex<UInt?>(nil)

        var object: ObjectBuilder {
            var builder = ObjectBuilder()
            builder.advertiseMethod("note", "()") { [self] _, _ in
                thread.withLock { $0 = Self.current }
                return .void
            }
            return builder
        }

        static var current: UInt { UInt(pthread_self()) }
    }

    private func withPlaces(_ body: @Sendable (Session, ObjectProxy, Places) async throws -> Void) async throws {
        try await withDirectory { directory, endpoint in
            let places = Places()
            _ = try await directory.register(places.object, as: "Places")
            try await withSession(endpoint, callsInProcess: true) { session in
                try await body(session, try await session.service("Places"), places)
            }
        }
    }

    @Test func aMethodBeginsOnTheThreadOfItsCaller() async throws {
        try await withPlaces { _, service, places in
            let here = Places.current
            _ = try await service.call("note", arguments: [])
            #expect(places.thread.withLock { $0 } == here)
        }
    }

    /// It may block, and everything else of the loop would wait.
    @Test func aMethodThatIsCalledFromAnEventLoopRunsElsewhere() async throws {
        try await withPlaces { session, service, places in
            let here = try await session.loop.withLoop {
                let here = Places.current
                _ = try await service.call("note", arguments: [])
                return here
            }
            #expect(try #require(places.thread.withLock { $0 }) != here)
        }
    }

    @Test @MainActor func aMethodThatIsCalledFromAnActorRunsElsewhere() async throws {
        try await withPlaces { _, service, places in
            let here = try await Task { @MainActor in
                let here = Places.current
                _ = try await service.call("note", arguments: [])
                return here
            }.value
            #expect(try #require(places.thread.withLock { $0 }) != here)
        }
    }

    /// It holds its caller's thread, so that something else must look at the clock.
    @Test func theDeadlineCancelsAMethodThatNeverSuspends() async throws {
        try await withDirectory { directory, endpoint in
            var builder = ObjectBuilder()
            builder.advertiseMethod("compute", "()") { _, _ in
                while !Task.isCancelled {}
                return .void
            }
            _ = try await directory.register(builder, as: "Busy")
            try await withSession(endpoint, callsInProcess: true) { session in
                let service = try await session.service("Busy")
                let error = await #expect(throws: QiError.self) {
                    _ = try await service.call("compute", arguments: [], deadline: .milliseconds(10))
                }
                #expect(error?.code == .timedOut)
                #expect(error?.message.contains("Busy.compute") == true)
            }
        }
    }

    /// Before the call is watched, and when it is.
    @Test(arguments: [false, true]) func theEndOfTheServiceCancelsAMethodThatWaits(isWatched: Bool) async throws {
        try await withDirectory { directory, endpoint in
            let (begun, beginning) = AsyncStream.makeStream(of: Void.self)
            var builder = ObjectBuilder()
            builder.advertiseMethod("wait", "()") { _, _ in
                beginning.yield()
                await untilCancelled()
                return .void
            }
            let hosted = try await directory.register(builder, as: "Waiting")
            try await withSession(endpoint, callsInProcess: true) { session in
                let service = try await session.service("Waiting")
                let call = Task { try await service.call("wait", arguments: [], deadline: .seconds(60)) }
                for await _ in begun { break }
                while isWatched, service.handle.listenerCount == 0 { await Task.yield() }
                try await directory.unregister(hosted)
                let error = await #expect(throws: QiError.self) { _ = try await call.value }
                #expect(error?.code == .notFound)
                #expect(service.handle.listenerCount == 0)
            }
        }
    }

    @Test func aCancelledTaskDoesNotCall() async throws {
        try await withPlaces { _, service, places in
            let task = Task {
                await untilCancelled()
                return try await service.call("note", arguments: [])
            }
            task.cancel()
            let error = await #expect(throws: QiError.self) { _ = try await task.value }
            #expect(error?.code == .cancelled)
            #expect(places.thread.withLock { $0 } == nil)
        }
    }

    /// What begins on its caller's thread takes of its stack.
    @Test func aMethodThatCallsItselfDeeplyHasStackEnough() async throws {
        try await withDirectory { directory, endpoint in
            let own = Mutex<ObjectProxy?>(nil)
            var builder = ObjectBuilder()
            builder.advertiseMethod("depth", "(I)", returns: "I") { arguments, _ in
                let left = arguments[0].asUInt32 ?? 0
                guard left > 0, let proxy = own.withLock({ $0 }) else { return .uint32(0) }
                let below = try await proxy.call("depth", arguments: [.uint32(left - 1)], deadline: .seconds(60))
                return .uint32(1 + (below.asUInt32 ?? 0))
            }
            _ = try await directory.register(builder, as: "Deep")
            try await withSession(endpoint, callsInProcess: true) { session in
                let service = try await session.service("Deep")
                own.withLock { $0 = service }
                let depth = try await service.call("depth", arguments: [.uint32(3_000)], deadline: .seconds(60))
                #expect(depth.asUInt32 == 3_000)
                own.withLock { $0 = nil }
            }
        }
    }

    @Test func aResultMayBeGivenBeforeAllArgumentsAreTaken() async throws {
        try await withDirectory { directory, endpoint in
            var builder = ObjectBuilder()
            builder.advertise(method: "second", parameters: [.string, .string], returns: .string) { call in
                try call.reply("early")
                try call.reply("again")
                let both = try call.next(String.self) + call.next(String.self)
                #expect(throws: WireError.self) { try call.next(String.self) }
                try call.reply(both)
            }
            _ = try await directory.register(builder, as: "Early")
            try await withSession(endpoint, callsInProcess: true) { session in
                let service = try await session.service("Early")
                let result = try await service.call("second", arguments: [.string("a"), .string("b")])
                #expect(result.asString == "ab")
            }
        }
    }
}
