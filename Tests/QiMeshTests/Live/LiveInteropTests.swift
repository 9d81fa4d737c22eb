import QiMeshTesting
@testable import QiMessaging
import QiWire
import Testing

extension Live {
    /// Real libqi and our sessions on both sides of the tunnel, in every mixture but Python to Python, which the end-to-end tests have.
    @Suite struct InteropTests {
        @Test func pythonToAServiceOfThisProcess() async throws {
            try await withMesh { try await $0.battery("pepper/Peer") }
        }

        @Test func sessionToAPythonService() async throws {
            try await withMesh { mesh in
                try await mesh.withPython("Python") { _ in
                    try await mesh.desk.session {
                        try await SessionBattery($0, service: "pepper/Python").run(payload: 256 << 10, calls: 200)
                    }
                }
            }
        }

        /// Three sessions' worth of hops: the service's session, pepper's node, desk's node, ours.
        @Test func sessionToAServiceOfASession() async throws {
            try await withMesh { mesh in
                try await mesh.pepper.session { host in
                    _ = try await host.register(PeerService.object(), as: "Hosted")
                    try await mesh.desk.session {
                        try await SessionBattery($0, service: "\(mesh.pepper.jid)/Hosted").run(payload: 256 << 10, calls: 200)
                    }
                }
            }
        }

        /// Far longer than a path may be silent: what counts is that path and owner answer. The three mixtures at once.
        @Test func aCallThatTakesFortySeconds() async throws {
            try await withMesh(pathLoss: .seconds(6)) { mesh in
                try await mesh.withPython("Python") { _ in
                    try await mesh.pepper.session { host in
                        _ = try await host.register(PeerService.object(), as: "Hosted")
                        try await mesh.desk.session { session in
                            let python = try await session.service("pepper/Python")
                            let hosted = try await session.service("pepper/Hosted")
                            async let client: Void = mesh.battery("pepper/Peer", ["--only", "slow_call", "--slow", "40"])
                            async let first = python.call("slow", arguments: [.double(40)], deadline: .seconds(70))
                            async let second = hosted.call("slow", arguments: [.double(40)], deadline: .seconds(70))
                            #expect(try await [first, second] == [.string("after 40 s"), .string("after 40 s")])
                            try await client
                        }
                    }
                }
            }
        }

        @Test func aServiceTakenAwayIsRemovedFromPythonClients() async throws {
            let hosted = Once<HostedObject>()
            try await withMesh(services: {
                hosted.settle(.success(try await $0.register(PeerService.object(), as: "Peer")))
            }) { mesh in
                try await QiMeshTests.expectRemoval(try await mesh.desk.url(), service: "pepper/Peer", home: mesh.desk.home) {
                    try await mesh.pepper.server().unregister(try await hosted.value)
                }
            }
        }

        @Test func aKilledOwnerIsRemovedFromSessions() async throws {
            try await withMesh { mesh in
                try await mesh.withPython("Python") { peer in
                    try await mesh.desk.session { session in
                        try await Self.expectRemoval(of: "pepper/Python", from: session) { peer.kill() }
                    }
                }
            }
        }

        @Test func aSessionThatEndsIsRemovedFromSessions() async throws {
            try await withMesh { mesh in
                let ended = Once<Void>()
                try await mesh.desk.session { session in
                    async let host: Void = mesh.pepper.session { host in
                        _ = try await host.register(PeerService.object(), as: "Hosted")
                        try await ended.value
                    }
                    _ = try await eventually("Hosted") { try await session.service("pepper/Hosted") }
                    try await Self.expectRemoval(of: "pepper/Hosted", from: session) { ended.settle(.success(())) }
                    try await host
                }
            }
        }

        private static func expectRemoval(of name: String, from session: Session, _ removal: () -> Void) async throws {
            let removed = try await session.directory().events(of: "serviceRemoved")
            let service = try await session.service(name)
            let events = try await service.events(of: "spoken")
            let pending = Task { try await service.call("slow", arguments: [.double(60)], deadline: .seconds(60)) }
            #expect(try await service.call("echo_int32", Int32(1)) == Int32(1))
            removal()
            #expect(await removed.first()?.last == .string(name))
            let lost = await #expect(throws: QiError.self) { _ = try await pending.value }
            #expect(lost?.message.contains(name.dropFirst("pepper/".count)) == true)
            #expect(await events.first() == nil)
            #expect(events.failure?.code == .notFound)
            await #expect(throws: QiError.self) { _ = try await service.call("echo_int32", arguments: [.int32(1)]) }
            let unknown = await #expect(throws: QiError.self) { _ = try await session.service(name) }
            #expect(unknown?.message.contains("no service") == true)
        }
    }
}
