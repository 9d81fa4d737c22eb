import QiMessaging
import QiWire
import Testing

/// A Python service and a Python client that meet through our directory.
@Suite(.timeLimit(.minutes(8)))
struct DirectoryInteropTests {
    @Test func pythonServiceAndClientMeet() async throws {
        try await withHome { home in
            try await withDirectory(home: home) { _, url in
                try await withPeer("service.py", ["--url", url], home: home) { service in
                    #expect(try await service.requiredLine() == "ready")
                    try await runBattery(url, home: home)
                }
            }
        }
    }

    @Test func killedOwnerIsRemoved() async throws {
        try await withHome { home in
            try await withDirectory(home: home) { directory, url in
                try await withPeer("service.py", ["--url", url], home: home) { service in
                    _ = try await service.requiredLine()
                    try await expectRemoval(url, service: "Peer", home: home) { service.kill() }
                    #expect(try await directory.services().isEmpty)
                }
            }
        }
    }

    /// Robots take their time: no deadline of anybody's may cut a call short. The three ways run at once.
    @Test func aCallThatTakesFortySeconds() async throws {
        let slow = ["--only", "slow_call", "--slow", "40"]
        try await withHome { home in
            try await withDirectory(home: home) { directory, url in
                _ = try await directory.register(PeerService.object(), as: "Ours")
                try await withPeer("service.py", ["--url", url], home: home) { service in
                    _ = try await service.requiredLine()
                    try await withSession(url, home: home) { session in
                        let peer = try await session.service("Peer")
                        async let pythons: Void = runBattery(url, home: home, slow)
                        async let ours: Void = runBattery(url, home: home, slow + ["--service", "Ours"])
                        async let sessions = peer.call("slow", arguments: [.double(40)], deadline: .seconds(60))
                        #expect(try await sessions == .string("after 40 s"))
                        _ = try await (pythons, ours)
                    }
                }
            }
        }
    }

    /// A Python client that works on, while a hundred services come, are met, and go again.
    @Test func aHundredServicesComeAndGoUnderLoad() async throws {
        try await withHome { home in
            try await withDirectory(home: home) { directory, url in
                _ = try await directory.register(PeerService.object(), as: "Peer")
                try await withPeer("visitors.py", ["--url", url, "--count", "100"], home: home) { client in
                    #expect(try await client.requiredLine().contains("watching"))
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for owner in 0..<10 {
                            group.addTask {
                                try await withSession(url, home: home) { session in
                                    for number in 0..<10 { try await Self.visit(session, "Guest-\(owner)-\(number)") }
                                }
                            }
                        }
                        try await group.waitForAll()
                    }
                    let names = try await expectChecks(of: client)
                    #expect(names.last == "still served")
                }
                #expect(try await directory.services().map(\.name) == ["Peer"])
            }
        }
    }

    /// A service that stays until it is told to leave.
    private static func visit(_ session: Session, _ name: String) async throws {
        let (left, leave) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        var builder = ObjectBuilder()
        builder.advertiseMethod("greet", "(s)", returns: "s") { arguments, _ in arguments[0] }
        builder.advertiseMethod("leave", "()") { _, _ in
            leave.yield()
            return .void
        }
        let guest = try await session.register(builder, as: name)
        for await _ in left { break }
        try await session.unregister(guest)
    }
}
