import NIOCore
@testable import QiMessaging
import QiWire
import Synchronization
import Testing

/// Directories and gateways that stop: what is called already is answered, and what comes later is refused in words.
@Suite(.timeLimit(.minutes(8))) struct DrainingTests {
    private static let calls = UInt32(200)

    /// Has 200 calls in work while `drain` runs, and looks at what becomes of them and of one that comes later.
    private func look(
        at endpoint: Endpoint, _ slow: Slow, refusal: String, drain: @escaping @Sendable () async -> Void
    ) async throws {
        try await withClient(endpoint) { client in
            let service = try await client.lookUp("Slow")
            for id in 0..<Self.calls { try await client.send(Slow.call(1000 + id, service, 10)) }
            // What was asked before it is in work.
            try await client.expectAlive()
            let end = ContinuousClock.now + .seconds(60)
            let isOver = Atomic(false)
            async let drained: Void = {
                await drain()
                isOver.store(true, ordering: .releasing)
            }()
            var (refused, id) = ("", UInt32(1))
            while refused.isEmpty, ContinuousClock.now < end {
                id += 1
                let answer = try await client.call(ActionAddress(.serviceDirectory, action: WellKnownActions.machineID), id: id)
                if answer.kind == .error { refused = answer.errorText }
            }
            #expect(refused == refusal)
            #expect(try await client.call(Slow.call(2000, service, 10)).errorText == refusal)
            let wasOver = isOver.load(ordering: .acquiring)
            #expect(!wasOver)
            slow.letGo()
            var answered: Set<UInt32> = []
            while answered.count < Int(Self.calls), let answer = await client.next() {
                #expect(answer.kind == .reply)
                answered.insert(answer.id)
            }
            #expect(answered == Set(1000..<(1000 + Self.calls)))
            await drained
            #expect(ContinuousClock.now < end)
        }
    }

    @Test func callsInWorkAreAnsweredAndLaterOnesRefusedWhenADirectoryStops() async throws {
        let slow = Slow()
        try await withDirectory { directory, endpoint in
            defer { slow.letGo() }
            _ = try await directory.register(slow.object, as: "Slow")
            try await look(at: endpoint, slow, refusal: "offline: this node is stopping (try again when it has started anew)") {
                await directory.drain(within: .seconds(90))
            }
        }
    }

    @Test func callsInWorkAreAnsweredAndLaterOnesRefusedWhenAGatewayStops() async throws {
        let slow = Slow()
        try await withDirectory { directory, endpoint in
            defer { slow.letGo() }
            _ = try await directory.register(slow.object, as: "Slow")
            try await withGateway(to: endpoint) { gateway, door in
                try await gateway.hasJoined()
                try await look(at: door, slow, refusal: "offline: this gateway is stopping (try again when it has started anew)") {
                    await gateway.close(within: .seconds(90))
                }
                // It does not listen any more.
                await #expect(throws: (any Error).self) { try await RawClient(door) }
            }
        }
    }

    @Test func aCallThatDoesNotEndHoldsNothingUpLongerThanItsTime() async throws {
        let slow = Slow()
        try await withDirectory { directory, endpoint in
            defer { slow.letGo() }
            _ = try await directory.register(slow.object, as: "Slow")
            try await withClient(endpoint) { client in
                let service = try await client.lookUp("Slow")
                try await client.send(Slow.call(10, service, 10))
                try await client.expectAlive()
                let start = ContinuousClock.now
                await directory.drain(within: .milliseconds(200))
                let time = ContinuousClock.now - start
                #expect(time >= .milliseconds(200) && time < .seconds(20))
                async let end: Void = directory.loop.shutDown()
                #expect(await client.next() == nil)
                slow.letGo()
                await end
            }
        }
    }

    @Test func withNothingInWorkADirectoryStopsAtOnce() async throws {
        try await withDirectory { directory, endpoint in
            try await withClient(endpoint) { client in
                try await client.expectAlive()
                let start = ContinuousClock.now
                await directory.drain(within: .seconds(90))
                #expect(ContinuousClock.now - start < .seconds(60))
            }
        }
    }

    /// It may serve a call of somebody else, whom it cannot answer without what it asks here.
    @Test func aProgramThatHostsAServiceIsServedToTheEnd() async throws {
        let slow = Slow()
        try await withDirectory { directory, endpoint in
            defer { slow.letGo() }
            _ = try await directory.register(slow.object, as: "Slow")
            try await withSession(endpoint) { host in
                _ = try await host.register(ProbeTests.probeObject(), as: "Probe")
                try await withClient(endpoint) { client in
                    let service = try await client.lookUp("Slow")
                    try await client.send(Slow.call(10, service, 10))
                    try await client.expectAlive()
                    async let drained: Void = directory.drain(within: .seconds(60))
                    let machineID = ActionAddress(.serviceDirectory, action: WellKnownActions.machineID)
                    var id = UInt32(11)
                    while try await client.call(machineID, id: id).kind != .error { id += 1 }
                    #expect(try await host.services().contains { $0.name == "Probe" })
                    slow.letGo()
                    #expect(await client.next()?.id == 10)
                    await drained
                }
            }
        }
    }

    /// More than sockets and channels hold, to a client that reads when all has been sent.
    @Test func aLongAnswerLeavesBeforeTheEnd() async throws {
        let answer = ByteBuffer(repeating: 7, count: 8 << 20)
        try await withDirectory { directory, endpoint in
            var builder = ObjectBuilder()
            let asked = AsyncStream.makeStream(of: Void.self)
            builder.advertiseMethod("give", "()", returns: "r") { _, _ in
                asked.continuation.finish()
                return .raw(answer)
            }
            _ = try await directory.register(builder, as: "Long")
            try await withGateway(to: endpoint) { gateway, door in
                try await gateway.hasJoined()
                try await withClient(door) { client in
                    let service = try await client.lookUp("Long")
                    try await client.stopReading()
                    try await client.send(.call(ActionAddress(service: service, object: 1, action: 100), id: 10))
                    for await _ in asked.stream {}
                    async let closed: Void = gateway.close(within: .seconds(60))
                    try await client.resumeReading()
                    #expect(await client.next()?.payload.readableBytes == (8 << 20) + 4)
                    await closed
                }
            }
        }
    }
}
