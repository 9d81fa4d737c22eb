import QiMessaging
import QiWire
import Testing

/// A session of ours among Python services.
@Suite(.timeLimit(.minutes(8)))
struct SessionInteropTests {
    @Test func onLibqisDirectory() async throws {
        try await withHome { home in
            try await withPeer("directory.py", [], home: home) { directory in
                let url = try await directory.requiredLine()
                try await withPeer("service.py", ["--url", url], home: home) { service in
                    _ = try await service.requiredLine()
                    try await withSession(url, home: home) { try await SessionBattery($0).run() }
                }
            }
        }
    }

    @Test func onOurDirectory() async throws {
        try await withHome { home in
            try await withDirectory(home: home) { _, url in
                try await withPeer("service.py", ["--url", url], home: home) { service in
                    _ = try await service.requiredLine()
                    try await withSession(url, home: home) { try await SessionBattery($0).run() }
                }
            }
        }
    }

    /// No Python at all, over a unix socket: both ends of what the others test against libqi.
    @Test func withAServiceOfOurs() async throws {
        try await withHome { home in
            try await withDirectory(home: home, at: "unix:\(home)/socket") { directory, url in
                _ = try await directory.register(PeerService.object(), as: "Peer")
                try await withSession(url, home: home) { try await SessionBattery($0).run() }
            }
        }
    }

    @Test func twoSessionsOnUnixSockets() async throws {
        try await withHome { home in
            try await withDirectory(home: home, at: "unix:\(home)/socket") { _, url in
                try await withSession(url, home: home, listen: ["unix:\(home)/host"]) { host in
                    _ = try await host.register(PeerService.object(), as: "Peer")
                    try await withSession(url, home: home) { session in
                        #expect(try await session.info(of: "Peer").endpoints == ["unix:\(home)/host"])
                        try await SessionBattery(session).run()
                    }
                }
            }
        }
    }

    @Test(arguments: [true, false])
    func killedOwnerIsRemoved(onLibqisDirectory: Bool) async throws {
        try await withHome { home in
            try await withEitherDirectory(libqis: onLibqisDirectory, home: home) { url in
                try await withPeer("service.py", ["--url", url], home: home) { peer in
                    _ = try await peer.requiredLine()
                    try await withSession(url, home: home) { session in
                        let directory = try await session.directory()
                        let removed = try await directory.events(of: "serviceRemoved")
                        let service = try await session.service("Peer")
                        let events = try await service.events(of: "spoken")
                        let pending = Task { try await service.call("slow", arguments: [.double(30)], deadline: .seconds(60)) }
                        #expect(try await service.call("echo_int32", Int32(1)) == Int32(1))
                        peer.kill()
                        #expect(await removed.first()?.last == .string("Peer"))
                        let lost = await #expect(throws: QiError.self) { _ = try await pending.value }
                        #expect(lost?.code == .disconnected)
                        #expect(await events.first() == nil)
                        #expect(events.failure != nil)
                        let later = await #expect(throws: QiError.self) {
                            _ = try await service.call("echo_int32", arguments: [.int32(1)])
                        }
                        #expect(later?.code == .disconnected || later?.code == .notFound)
                        let unknown = await #expect(throws: QiError.self) { _ = try await session.service("Peer") }
                        #expect(unknown?.code == .notFound)
                    }
                }
            }
        }
    }

    /// The directory goes away: nothing hangs.
    @Test func directoryEnds() async throws {
        try await withHome { home in
            try await withPeer("directory.py", [], home: home) { directory in
                let url = try await directory.requiredLine()
                try await withPeer("service.py", ["--url", url], home: home) { peer in
                    _ = try await peer.requiredLine()
                    try await withSession(url, home: home) { session in
                        let service = try await session.service("Peer")
                        let events = try await service.events(of: "spoken")
                        directory.kill()
                        #expect(await events.first() == nil)
                        await #expect(throws: QiError.self) { _ = try await service.call("echo_int32", arguments: [.int32(1)]) }
                        await #expect(throws: QiError.self) { _ = try await session.services() }
                    }
                }
            }
        }
    }
}
