import QiMeshTesting
@testable import QiMessaging
import QiWire
import Testing

extension Live {
    /// What clients notice when a path goes, and when it comes back.
    @Suite struct LossTests {
        enum Loss: CaseIterable {
            /// Both nodes lose the server and come back to it.
            case server
            /// The owner's node ends the tunnel alone.
            case ownersSide
            /// The caller's node does.
            case callersSide

            func happen(to mesh: LiveMesh) async throws {
                switch self {
                case .server:
                    mesh.xmpp.suspend()
                    try mesh.xmpp.resume()
                case .ownersSide: try await mesh.pepper.server().dropDevice(mesh.desk.jid, QiError(.disconnected, "dropped by the test"))
                case .callersSide: try await mesh.desk.server().dropDevice(mesh.pepper.jid, QiError(.disconnected, "dropped by the test"))
                }
            }
        }

        /// The service is the same one afterwards: the proxy lives on, and its one subscription with it.
        @Test(arguments: Loss.allCases)
        func aProxyOfLibqiSurvivesTheLossOfItsTunnel(_ loss: Loss) async throws {
            try await withMesh { mesh in
                let holder = try await Holder("pepper/Peer", on: mesh.desk)
                try await mesh.desk.session { session in
                    let service = try await session.service("pepper/Peer")
                    let events = try await service.events(of: "spoken")
                    for text in ["before", "after"] {
                        _ = try await service.call("say", arguments: [.string(text)])
                        #expect(await events.first() == [.string(text)])
                        try await holder.expect(.init(event: text))
                        guard text == "before" else { break }
                        try await loss.happen(to: mesh)
                        try await holder.untilAnswered()
                        try await Self.untilAnswered(service)
                    }
                    holder.call("echo_string", "the last")
                    try await holder.expect(.init(answer: "the last"))
                }
                await holder.end()
            }
        }

        private static func untilAnswered(_ service: ObjectProxy) async throws {
            _ = try await eventually("an answer") { try await service.call("echo_int32", Int32(1)) == Int32(1) ? true : nil }
        }

        /// Registered anew while nobody could see it: whoever looked it up is told, by the name he used and no other.
        @Test func aServiceRegisteredAnewIsTakenFromItsClients() async throws {
            let first = Once<HostedObject>()
            try await withMesh(services: {
                _ = try await $0.register(PeerService.object(), as: "Same")
                first.settle(.success(try await $0.register(PeerService.object(), as: "Peer")))
            }) { mesh in
                let byName = try await Holder("pepper/Peer", on: mesh.desk)
                let byAddress = try await Holder("\(mesh.pepper.jid)/Peer", on: mesh.desk)
                let same = try await Holder("pepper/Same", on: mesh.desk)
                mesh.xmpp.suspend()
                let server = try await mesh.pepper.server()
                try await server.unregister(try await first.value)
                _ = try await server.register(PeerService.object(), as: "Peer")
                try mesh.xmpp.resume()
                try await byName.expect(.init(removed: "pepper/Peer"))
                try await byAddress.expect(.init(removed: "\(mesh.pepper.jid)/Peer"))
                for (holder, name) in [(byName, "pepper/Peer"), (byAddress, "\(mesh.pepper.jid)/Peer")] {
                    holder.lookUp(name)
                    try await holder.expect(.init(answer: "ready"))
                    holder.call("echo_string", "new")
                    try await holder.expect(.init(answer: "new"))
                }
                // Of the service that stayed nobody was told anything.
                try await same.untilAnswered()
                for holder in [byName, byAddress, same] { await holder.end() }
            }
        }

        /// Nothing is closed and nothing answers. libqi clients wait for ever: the node has to give up for them, when the path was silent for
        /// 15 s and no other one came.
        @Test func aCallOnASilentPathFailsInTime() async throws {
            let limit = Duration.seconds(6)
            try await withMesh(pathLoss: limit) { mesh in
                let holder = try await Holder("pepper/Peer", on: mesh.desk)
                try await mesh.desk.session { session in
                    let service = try await session.service("pepper/Peer")
                    let started = try await service.events(of: "spoken")
                    let ours = Task { try await service.call("slow", arguments: [.double(120)], deadline: .seconds(120)) }
                    _ = try await service.call("say", arguments: [.string("the call before this one is there")])
                    #expect(await started.first() != nil)
                    try await holder.expect(.init(event: "the call before this one is there"))
                    let begin = ContinuousClock.now
                    try mesh.xmpp.freeze()
                    holder.call("echo_string", "on the dead path")
                    let line = try await holder.next()
                    let failure = await #expect(throws: QiError.self) { _ = try await ours.value }
                    let took = ContinuousClock.now - begin
                    #expect(took < .seconds(15) + limit + .seconds(6))
                    for text in [line.error ?? "", failure?.message ?? ""] {
                        #expect(text.contains("\(mesh.pepper.jid)/Peer: "))
                        #expect(text.contains("no path to the other side for 6 s"))
                    }
                    try mesh.xmpp.thaw()
                    try await holder.untilAnswered()
                    _ = try await service.call("say", arguments: [.string("here again")])
                    #expect(await started.first() == [.string("here again")])
                    try await holder.expect(.init(event: "here again"))
                }
                await holder.end()
            }
        }
    }
}
