import NIOCore
import QiMesh
import QiMeshTesting
@testable import QiMessaging
import QiWire
import Synchronization
import Testing

extension Live {
    /// What reaches across, and what never does.
    @Suite struct BoundaryTests {
        /// An object returned across is the owner's until the last proxy goes; then the owner's side lets go of it as well.
        @Test func aReturnedObjectLivesAsLongAsItsUser() async throws {
            let gone = Once<String>()
            try await withMesh(services: { server in
                var builder = ObjectBuilder()
                builder.advertiseMethod("make", "(s)", returns: "o") { arguments, context in
                    let life = Life(arguments[0].asString ?? "", gone)
                    var made = ObjectBuilder()
                    made.advertiseSignal("told", "(s)")
                    made.advertiseMethod("tell", "(s)", returns: "s") { arguments, context in
                        try context.object.emit("told", arguments)
                        return .string(life.name)
                    }
                    return .object(try await context.host(made).reference)
                }
                _ = try await server.register(builder, as: "Maker")
            }) { mesh in
                try await mesh.desk.session { session in
                    let maker = try await session.service("pepper/Maker")
                    do {
                        let reference = try #require(try await maker.call("make", arguments: [.string("first")]).asObject)
                        let object = try await maker.object(reference)
                        let told = try await object.events(of: "told")
                        #expect(try await object.call("tell", "across") == "first")
                        #expect(await told.first() == [.string("across")])
                    }
                    #expect(try await gone.value == "first")
                }
            }
        }

        /// A client that goes without releasing what it holds.
        @Test func aReturnedObjectGoesWithItsUsersConnection() async throws {
            let gone = Once<String>()
            try await withMesh(services: { server in
                var builder = ObjectBuilder()
                builder.advertiseMethod("make", "()", returns: "o") { _, context in
                    let life = Life("held", gone)
                    var made = ObjectBuilder()
                    made.advertiseMethod("name", "()", returns: "s") { _, _ in .string(life.name) }
                    return .object(try await context.host(made).reference)
                }
                _ = try await server.register(builder, as: "Maker")
            }) { mesh in
                let held = try await mesh.desk.session { session in
                    let maker = try await session.service("pepper/Maker")
                    // Whoever drops this value releases the object: it leaves the session alive.
                    let made = try await maker.call("make", arguments: [])
                    let reference = try #require(made.asObject)
                    #expect(reference.attachment != nil)
                    #expect(try await maker.object(reference).call("name", arguments: []) == .string("held"))
                    return made
                }
                // Only the connection's end can have told that it is not needed.
                #expect(try await gone.value == "held")
                withExtendedLifetime(held) {}
            }
        }

        @Test func theControlInterfaceIsOnTheUnixSocketOnly() async throws {
            try await withMesh { mesh in
                #expect(try await mesh.desk.status().name == "desk")
                try await mesh.desk.session { session in
                    let listed = try await session.services().map(\.name)
                    #expect(listed == ["ServiceDirectory"])
                    let across = await #expect(throws: QiError.self) { _ = try await session.service("pepper/MeshControl3") }
                    #expect(across?.message.contains("no service \"MeshControl3\" on \(mesh.pepper.jid)") == true)
                    #expect(try await mesh.desk.server().services(of: "pepper").map(\.name) == ["ServiceDirectory", "Peer"])
                }
                try await withSession(try await mesh.desk.url(), home: mesh.desk.home) { session in
                    let listed = try await session.services().map(\.name)
                    #expect(listed == ["ServiceDirectory"])
                    let tcp = await #expect(throws: QiError.self) { _ = try await session.service("MeshControl3") }
                    #expect(tcp?.code == .notFound)
                }
            }
        }

        /// `qimesh tunnel`: plain names, nothing to register, and gone with whoever asked for it.
        @Test func anOpenedTunnelPresentsAndRefuses() async throws {
            try await withMesh { mesh in
                let opened = Once<String>()
                let done = Once<Void>()
                let asker = Task { try await mesh.desk.session { session in
                    let node = try await session.service(MeshControlProxy.self)
                    opened.settle(.success(try await node.openTunnel(to: "pepper", at: "tcp://127.0.0.1:0").get().url))
                    try await done.value
                } }
                defer { done.settle(.success(())) }
                let url = try await opened.value
                try await withSession(url, home: mesh.desk.home) { session in
                    #expect(try await session.services().map(\.name) == ["ServiceDirectory", "Peer"])
                    #expect(try await session.service("Peer").call("echo_string", "plain") == "plain")
                    let refused = await #expect(throws: QiError.self) {
                        _ = try await session.register(PeerService.object(), as: "Intruder")
                    }
                    let text = "this directory is a tunnel to pepper: services cannot be registered through it"
                    #expect(refused?.message.contains(text) == true)
                    done.settle(.success(()))
                    try await asker.value
                    // The connection is closed from the other side, and nobody listens there any more.
                    for await state in session.states {
                        guard case .reconnecting(let reason) = state else { continue }
                        #expect(reason.message.contains("is away"))
                        break
                    }
                }
                await #expect(throws: QiError.self) { try await withSession(url, home: mesh.desk.home) { _ in } }
                #expect(try await mesh.pepper.server().services().map(\.name) == ["Peer"])
            }
        }

        /// Calls of the directory that are its owner's, or a registering host's, alone, each with all that it takes.
        private static func takeovers(of service: UInt32) throws -> [(action: UInt32, payload: ByteBuffer)] {
            func payload(_ value: QiValue, _ type: QiType) throws -> ByteBuffer {
                var payload = ByteBuffer()
                try payload.writeQi(value, as: type)
                return payload
            }
            func info(_ name: String, _ id: UInt32) -> ServiceInfo {
                ServiceInfo(
                    name: name, serviceID: id, machineID: "elsewhere", processID: 1, endpoints: ["tcp://127.0.0.1:9"], sessionID: "carol")
            }
            let register = try payload(info("Intruder", 0).qiValue, ServiceInfo.signature.type)
            let update = try payload(info("Guarded", service).qiValue, ServiceInfo.signature.type)
            let id = try payload(.uint32(service), .uint32)
            return [
                (WellKnownActions.registerService, register), (WellKnownActions.unregisterService, id), (WellKnownActions.serviceReady, id),
                (WellKnownActions.updateServiceInfo, update), (WellKnownActions.socketOfService, id),
            ]
        }

        /// A device on the tunnel says whatever it likes: ids it never looked up, names of others, methods it is not shown.
        @Test func aDeviceReachesNothingButWhatItLookedUp() async throws {
            let calls = Mutex(0)
            try await withMesh(others: ["carol"], services: { server in
                var builder = ObjectBuilder()
                builder.advertiseMethod("count", "()", returns: "s") { _, _ in
                    calls.withLock { $0 += 1 }
                    return .string("reached")
                }
                _ = try await server.register(builder, as: "Guarded")
            }) { mesh in
                // What pepper reaches through its own gateway.
                _ = try await mesh.desk.server().register(PeerService.object(), as: "Desks")
                try await mesh.pepper.session { session in
                    #expect(try await session.service("desk/Desks").call("echo_int32", Int32(1)) == Int32(1))
                    try await withFake("carol", in: mesh, invitedBy: mesh.pepper) { carol in
                        let tunnel = try await carol.open(to: mesh.pepper, saying: carol.names(to: mesh.pepper.jid))
                        #expect(try await tunnel.lookUp("Guarded") == nil)
                        let guarded = try await tunnel.id(of: "Guarded")
                        let guesses: [UInt32] = Array(2...40) + Array(0x4000_0000...0x4000_0008) + Array(0x7FFF_0000...0x7FFF_0004)
                        for id in guesses where id != guarded {
                            let answer = try await tunnel.call(ActionAddress(.main(ofService: id), action: 100))
                            #expect(answer == "The call request could not be handled.", "\(id)")
                        }
                        for name in ["desk/Desks", "\(mesh.desk.jid)/Desks", "MeshControl3", "\(mesh.pepper.jid)/Guarded", "carol/X"] {
                            #expect(try await tunnel.lookUp(name)?.contains("Cannot find service '\(name)' in index") == true)
                        }
                        for (action, payload) in try Self.takeovers(of: guarded) {
                            let answer = try await tunnel.call(ActionAddress(.serviceDirectory, action: action), payload)
                            #expect(answer != nil, "\(action) was served")
                            // Refused, not misread: the payloads are what an owner sends.
                            #expect(answer?.contains("payload") == false, "\(action): \(answer ?? "")")
                        }
                        #expect(try await tunnel.id(of: "Guarded") == guarded)
                        #expect(calls.withLock { $0 } == 0)
                        // A second tunnel of the same device has looked up nothing.
                        let second = try await carol.open(to: mesh.pepper, saying: carol.names(to: mesh.pepper.jid))
                        #expect(try await second.call(ActionAddress(.main(ofService: guarded), action: 100)) != nil)
                        #expect(calls.withLock { $0 } == 0)
                        #expect(try await tunnel.call(ActionAddress(.main(ofService: guarded), action: 100)) == nil)
                        #expect(calls.withLock { $0 } == 1)
                    }
                }
                #expect(try await mesh.pepper.server().services().map(\.name) == ["Guarded"])
            }
        }
    }
}

/// Says when it goes.
private final class Life: Sendable {
    let name: String
    private let gone: Once<String>

    init(_ name: String, _ gone: Once<String>) {
        self.name = name
        self.gone = gone
    }

    deinit { gone.settle(.success(name)) }
}
