import NIOCore
@testable import QiMessaging
import QiWire
import Testing

/// What libqi's `waitForService` needs for a service of another device: one look-up that fails, and a serviceAdded of that name later.
@Suite(.timeLimit(.minutes(8))) struct WaitForServiceTests {
    enum Before: CaseIterable { case unknown, away, withoutTheService }

    private static let added: UInt32 = WellKnownActions.serviceAdded

    /// Looks a service up that is not there, as `waitForService` does.
    private func look(for name: String, _ client: RawClient) async throws {
        try await client.subscribe(to: Self.added, of: .serviceDirectory, link: 1)
        let look = ActionAddress(.serviceDirectory, action: WellKnownActions.service)
        let answer = try await client.call(look, id: 7, [.string(QiString(name))], "(s)")
        #expect(answer.kind == .error)
    }

    private func nextAdded(_ client: RawClient) async throws -> (id: UInt32, name: String) {
        while let message = await client.next() {
            if message.kind == .event, message.address.action == Self.added { return try #require(message.payload.idAndName) }
        }
        throw QiError(.disconnected, "no serviceAdded came")
    }

    @Test(arguments: Before.allCases) func aClientThatAskedIsToldWhenTheServiceIsThere(_ before: Before) async throws {
        try await FarDevice.withDevice { _, endpoint, device in
            device.set(isThere: before != .away, isKnown: before != .unknown)
            try await withClient(endpoint) { waiting in
                try await withClient(endpoint) { other in
                    try await look(for: "pepper/Echo", waiting)
                    try await look(for: "pepper/Another", other)
                    if before != .withoutTheService {
                        _ = try await device.server.register(ProbeTests.probeObject(), as: "Echo")
                        device.set()
                    } else {
                        _ = try await device.server.register(ProbeTests.probeObject(), as: "Echo")
                    }
                    let (id, name) = try await nextAdded(waiting)
                    #expect(name == "pepper/Echo")
                    // What was told is what is found, under that id.
                    #expect(try await waiting.lookUp("pepper/Echo") == id)
                    // Another that waits hears of what it asked for, and of nothing else.
                    _ = try await device.server.register(ProbeTests.probeObject(), as: "Another")
                    #expect(try await nextAdded(other).name == "pepper/Another")
                }
            }
        }
    }

    /// After a removal the name is waited for again: libqi's client is told, and asks anew.
    @Test func aClientThatUsedItIsToldWhenItReturns() async throws {
        try await FarDevice.with { _, endpoint, far in
            let first = try await far.register(ProbeTests.probeObject(), as: "Echo")
            try await withClient(endpoint) { client in
                try await client.subscribe(to: Self.added, of: .serviceDirectory, link: 1)
                let id = try await client.lookUp("pepper/Echo")
                try await far.unregister(first)
                _ = try await far.register(ProbeTests.probeObject(), as: "Echo")
                let again = try await nextAdded(client)
                #expect(again.name == "pepper/Echo" && again.id != id)
                #expect(try await client.lookUp("pepper/Echo") == again.id)
            }
        }
    }

    @Test func waitingIsBoundedAndEndsWithTheConnection() async throws {
        try await FarDevice.withDevice { near, endpoint, device in
            device.set(isThere: false)
            let directory = near.directory
            let names = { (count: Int) async throws -> Bool in
                try await near.loop.run { (_) async throws(QiError) in directory.value.expected.count == count }
            }
            try await withClient(endpoint) { client in
                for number in 0..<ServiceDirectory.maximumExpected.perConnection + 10 { try await look(for: "pepper/S\(number)", client) }
                #expect(try await names(ServiceDirectory.maximumExpected.perConnection))
            }
            while try await !names(0) { await Task.yield() }
        }
    }
}
