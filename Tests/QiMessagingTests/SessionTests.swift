import NIOCore
@testable import QiMessaging
import QiWire
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(8)))
struct SessionTests {
    /// A service with a method that never ends by itself, and how it ended.
    private final class Patience: Sendable {
        let started = AsyncStream.makeStream(of: Void.self)
        let ended = AsyncStream.makeStream(of: Void.self)

        var object: ObjectBuilder {
            var builder = ObjectBuilder()
            builder.advertiseSignal("never", "()")
            builder.advertiseMethod("wait", "()") { [self] _, _ in
                started.continuation.yield()
                await untilCancelled()
                ended.continuation.yield()
                throw CancellationError()
            }
            return builder
        }

        func hasStarted() async { for await _ in started.stream { return } }
        func hasEnded() async { for await _ in ended.stream { return } }
    }

    /// A directory with the service "Patience", and a session's proxy of it.
    private func withPatience(_ body: (DirectoryServer, Session, ObjectProxy, Patience) async throws -> Void) async throws {
        try await withDirectory { directory, endpoint in
            let patience = Patience()
            _ = try await directory.register(patience.object, as: "Patience")
            try await withSession(endpoint) { session in
                try await body(directory, session, try await session.service("Patience"), patience)
            }
        }
    }

    @Test func cancellingTheTaskCancelsTheCall() async throws {
        try await withPatience { _, _, service, patience in
            let task = Task { try await service.call("wait", arguments: [], deadline: .seconds(60)) }
            await patience.hasStarted()
            task.cancel()
            let error = await #expect(throws: QiError.self) { _ = try await task.value }
            #expect(error?.code == .cancelled)
            await patience.hasEnded()
        }
    }

    @Test func aCancelledTaskDoesNotCall() async throws {
        try await withPatience { _, session, service, _ in
            let task = Task {
                await untilCancelled()
                return try await service.call("wait", arguments: [], deadline: .seconds(60))
            }
            task.cancel()
            let error = await #expect(throws: QiError.self) { _ = try await task.value }
            #expect(error?.code == .cancelled)
            let services = try await session.services()
            #expect(services.count == 2)
        }
    }

    @Test func theDeadlineCancelsTheCall() async throws {
        try await withPatience { _, _, service, patience in
            let error = await #expect(throws: QiError.self) {
                _ = try await service.call("wait", arguments: [], deadline: .milliseconds(1))
            }
            #expect(error?.code == .timedOut)
            #expect(error?.message.contains("Patience.wait") == true)
            await patience.hasEnded()
        }
    }

    private struct WeakObject: Sendable {
        weak let object: DynamicObject?
        init(_ object: DynamicObject) { self.object = object }
    }

    /// A method that pays no heed to the end of its call: what it answers nobody wants, and an object in it is let go.
    @Test func anObjectInALateReplyIsReleased() async throws {
        try await withDirectory { directory, endpoint in
            let (made, making) = AsyncStream.makeStream(of: WeakObject.self)
            var builder = ObjectBuilder()
            builder.advertiseMethod("late", "()", returns: "o") { _, context in
                await untilCancelled()
                let (reference, hosted) = try await context.host(ObjectBuilder())
                making.yield(WeakObject(hosted.object))
                return .object(reference)
            }
            builder.advertiseMethod("now", "()") { _, _ in .void }
            _ = try await directory.register(builder, as: "Late")
            try await withSession(endpoint) { session in
                let service = try await session.service("Late")
                let error = await #expect(throws: QiError.self) {
                    _ = try await service.call("late", arguments: [], deadline: .milliseconds(1))
                }
                #expect(error?.code == .timedOut)
                for await late in made {
                    // Each call is a round trip behind the release.
                    while late.object != nil { _ = try await service.call("now", arguments: []) }
                    return
                }
                Issue.record("the method made no object")
            }
        }
    }

    @Test func closingTheSessionFailsWhatWaits() async throws {
        try await withDirectory { directory, endpoint in
            let patience = Patience()
            _ = try await directory.register(patience.object, as: "Patience")
            var options = Session.Options()
            options.machineID = "test-machine"
            options.callsInProcess = false
            let session = try await Session.connect(endpoint.text, options: options)
            let service = try await session.service("Patience")
            let events = try await service.events(of: "never")
            let call = Task { try await service.call("wait", arguments: [], deadline: .seconds(60)) }
            await patience.hasStarted()
            await session.close()
            let error = await #expect(throws: QiError.self) { _ = try await call.value }
            #expect(error?.code == .disconnected)
            #expect(await events.first() == nil)
            #expect(events.failure?.code == .disconnected)
            // The caller is gone, and so is its call.
            await patience.hasEnded()
            await #expect(throws: QiError.self) { _ = try await session.services() }
            await #expect(throws: QiError.self) { _ = try await service.call("wait", arguments: []) }
            await session.close()
        }
    }

    @Test func theDirectorysEndFailsWhatWaits() async throws {
        try await withPatience { directory, session, service, patience in
            let call = Task { try await service.call("wait", arguments: [], deadline: .seconds(60)) }
            await patience.hasStarted()
            await directory.loop.shutDown()
            let error = await #expect(throws: QiError.self) { _ = try await call.value }
            #expect(error?.code == .disconnected)
            let later = await #expect(throws: QiError.self) { _ = try await session.service("Other") }
            #expect(later?.code == .disconnected)
        }
    }

    @Test func unregisteringEndsProxies() async throws {
        try await withDirectory { directory, endpoint in
            let hosted = try await directory.register(Patience().object, as: "Patience")
            try await withSession(endpoint) { session in
                let service = try await session.service("Patience")
                let events = try await service.events(of: "never")
                try await directory.unregister(hosted)
                #expect(await events.first() == nil)
                #expect(events.failure?.message == "Service removed")
                let error = await #expect(throws: QiError.self) { _ = try await service.call("wait", arguments: []) }
                #expect(error?.code == .notFound)
                // The name is free again, and the next proxy another one.
                _ = try await directory.register(Patience().object, as: "Patience")
                _ = try await session.service("Patience").events(of: "never")
            }
        }
    }

    @Test func whereNobodyIs() async throws {
        try await withFolder { folder in
            let endpoint = try #require(Endpoint("unix:\(folder)/nobody"))
            let error = await #expect(throws: QiError.self) { try await withSession(endpoint) { _ in } }
            #expect(error?.code == .offline)
        }
        let bad = await #expect(throws: QiError.self) { _ = try await Session.connect("no endpoint") }
        #expect(bad?.code == .invalid)
    }

    @Test func slowReadersLoseTheOldest() async throws {
        try await withDirectory { directory, endpoint in
            let hosted = try await directory.register(ProbeTests.probeObject(), as: "Probe")
            try await withSession(endpoint) { session in
                let service = try await session.service("Probe")
                let events = try await service.events(of: "sig", buffer: 3)
                for number in Int32(0)..<10 { try hosted.emit("sig", [.int32(number), .string("")]) }
                // Its answer comes after the events.
                _ = try await service.call("inc", arguments: [.int32(0)])
                var kept: [QiValue?] = []
                for _ in 0..<3 { kept.append(await events.first()?.first) }
                #expect(kept == [.int32(7), .int32(8), .int32(9)])
                #expect(events.dropped == 7)
            }
        }
    }

    /// Asynchronous members of one service do not wait for each other.
    @Test func membersRunSideBySide() async throws {
        try await withDirectory { directory, endpoint in
            let gate = AsyncStream.makeStream(of: Void.self)
            var builder = ObjectBuilder()
            builder.advertiseMethod("wait", "()") { _, _ in
                for await _ in gate.stream { break }
                return .void
            }
            builder.advertiseMethod("open", "()") { _, _ in
                gate.continuation.yield()
                return .void
            }
            _ = try await directory.register(builder, as: "Gate")
            try await withSession(endpoint) { session in
                let service = try await session.service("Gate")
                async let waiting = service.call("wait", arguments: [])
                _ = try await service.call("open", arguments: [])
                _ = try await waiting
            }
        }
    }
}
