import NIOCore
import NIOPosix
@testable import QiMessaging
import QiWire
import Testing

@Suite(.timeLimit(.minutes(8)))
struct DialTests {
    /// Accepts and says nothing.
    private func withSilence(_ body: (Endpoint, AsyncStream<Void>) async throws -> Void) async throws {
        let (closed, sink) = AsyncStream.makeStream(of: Void.self)
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton.next())
            .childChannelInitializer { channel in
                channel.closeFuture.whenComplete { _ in sink.yield() }
                return channel.eventLoop.makeSucceededVoidFuture()
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let endpoint = try #require(Endpoint("tcp://127.0.0.1:\(server.localAddress?.port ?? 0)"))
        do {
            try await body(endpoint, closed)
        } catch {
            try await server.close()
            throw error
        }
        try await server.close()
    }

    private func withCache(_ body: nonisolated(nonsending) @Sendable (ConnectionCache) async throws(QiError) -> Void
    ) async throws {
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)
        let context = Dialer.Context(loop: loop, transports: TransportSet(), owner: nil, limits: ConnectionLimits())
        let failure = try await loop.run { (bus) async throws(QiError) -> QiError? in
            let cache = ConnectionCache(bus: bus) { context }
            defer { cache.end(QiError(.disconnected, "over")) }
            do throws(QiError) { try await body(cache) } catch { return error }
            return nil
        }
        await loop.shutDown()
        if let failure { throw failure }
    }

    private nonisolated(nonsending) static func connect(
        _ cache: ConnectionCache, _ endpoints: [Endpoint], _ machine: String = "m", within limit: TimeAmount = .seconds(10)
    ) async throws(QiError) -> Connection {
        try await cache.connection(to: endpoints, on: machine, deadline: .now() + limit)
    }

    @Test func theDeadAndTheSilentAreOvertaken() async throws {
        try await withDirectory { _, alive in
            try await withSilence { silent, closed in
                let dead = try #require(Endpoint("unix:/nowhere/at/all"))
                try await withCache { (cache) async throws(QiError) in
                    let connection = try await Self.connect(cache, [dead, silent, alive])
                    #expect(connection.origin == .tcp(host: "127.0.0.1") && connection.isOpen)
                    // Under every one of its names.
                    for endpoint in [dead, silent, alive] {
                        let shared = try await Self.connect(cache, [endpoint])
                        #expect(shared === connection)
                    }
                }
                // The loser was closed.
                for await _ in closed { break }
            }
        }
    }

    @Test func theDeadAreNotDialledInALoop() async throws {
        try await withFolder { folder in
            let dead = try #require(Endpoint("unix:\(folder)/nobody"))
            try await withCache { (cache) async throws(QiError) in
                var errors: [QiError] = []
                for _ in 0..<2 {
                    do throws(QiError) { _ = try await Self.connect(cache, [dead]) } catch { errors.append(error) }
                }
                #expect(errors.map(\.code) == [.offline, .offline])
                #expect(errors.first?.message.contains("nobody answers at") == true)
                #expect(errors.last?.message.contains("a moment ago") == true)
                let areRetryable = errors.allSatisfy { $0.isRetryable }
                #expect(areRetryable)
            }
        }
    }

    @Test func whoWaitsHasADeadline() async throws {
        try await withSilence { silent, closed in
            try await withCache { (cache) async throws(QiError) in
                do throws(QiError) {
                    _ = try await Self.connect(cache, [silent], within: .milliseconds(20))
                    Issue.record("silence was taken for an answer")
                } catch {
                    #expect(error.code == .timedOut)
                }
            }
            // The end of the cache ended what it dialled.
            for await _ in closed { break }
        }
    }

    @Test func servicesOfOneHostShareAConnection() async throws {
        try await withDirectory { _, endpoint in
            try await withSession(endpoint) { host in
                var builder = ObjectBuilder()
                builder.advertiseMethod("one", "()", returns: "i") { _, _ in .int32(1) }
                for name in ["A", "B", "C"] { _ = try await host.register(builder, as: name) }
                try await withSession(endpoint) { client in
                    async let a = client.service("A")
                    async let b = client.service("B")
                    async let c = client.service("C")
                    for service in try await [a, b, c] {
                        let one: Int32 = try await service.call("one")
                        #expect(one == 1)
                    }
                    let core = host.core
                    let count = try await host.loop.run { (_) async throws(QiError) in core.value.connectionCount }
                    // One to the directory, one from the client.
                    #expect(count == 2)
                }
            }
        }
    }

    @Test func closingASessionEndsItsDials() async throws {
        try await withSilence { silent, _ in
            try await withDirectory { _, endpoint in
                var options = Session.Options()
                options.callsInProcess = false
                options.machineID = "test-machine"
                options.logger = quiet
                options.callsInProcess = false
                try await withClient(endpoint) { stranger in
                    let info = ServiceInfo(
                        name: "Silent", serviceID: 0, machineID: "test-machine", processID: 1, endpoints: [silent.text], sessionID: "s",
                        objectUID: [])
                    let register = ActionAddress(.serviceDirectory, action: WellKnownActions.registerService)
                    let answer = try await stranger.call(register, id: 7, [info.qiValue], Signature(.tuple([ServiceInfo.signature.type])))
                    let ready = ActionAddress(.serviceDirectory, action: WellKnownActions.serviceReady)
                    _ = try await stranger.call(ready, id: 8, [answer.value("I")], "(I)")
                    let session = try await Session.connect(endpoint.text, options: options)
                    let finding = Task { try await session.service("Silent", deadline: .seconds(60)) }
                    let core = session.core
                    while try await session.loop.run({ (_) async throws(QiError) in core.value.hosts.dialsRunning == 0 }) {}
                    await session.close()
                    let error = await #expect(throws: QiError.self) { _ = try await finding.value }
                    #expect(error?.code == .disconnected)
                }
            }
        }
    }
}
