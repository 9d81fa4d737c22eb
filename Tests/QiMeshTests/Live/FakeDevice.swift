import NIOCore
import NIOPosix
@testable import QiMesh
import QiMeshTesting
@testable import QiMessaging
import QiWire
import Testing
import XMPP

/// A device made of the same parts as ours, that says what the test wants.
final class FakeDevice: Sendable {
    let jid: String
    let identity: DeviceIdentity
    let client: XMPPClient
    private let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)

    fileprivate init(_ user: String, identity: DeviceIdentity, at xmpp: ProsodyServer) throws {
        self.identity = identity
        jid = "\(user)@\(xmpp.domain)"
        var configuration = XMPPConfiguration(
            jid: try #require(JID(jid)), password: LiveMesh.password, server: .init(host: xmpp.host, port: xmpp.port))
        configuration.caFile = xmpp.caFile
        configuration.features = [MeshNamespaces.tunnel]
        client = XMPPClient(configuration: configuration, logger: quiet, eventLoopGroup: MultiThreadedEventLoopGroup.singleton)
    }

    fileprivate func shutDown() async {
        client.shutdown()
        await loop.shutDown()
    }

    fileprivate func meet(_ node: LiveNode, as name: String) async throws {
        let other = try #require(JID(node.jid))
        await loop.start()
        _ = try await eventually("\(name) is online") { client.state.isOnline ? true : nil }
        _ = try await node.invite(jid, name)
        try await client.approveSubscription(of: other)
        try await client.subscribe(to: other)
        _ = try await eventually("\(node.user) sees \(name)") {
            try await node.row(of: name)?.state == "online" ? true : nil
        }
        _ = try await eventually("\(name) sees \(node.user)") { tunnelResource(of: other) }
    }

    private func tunnelResource(of other: JID) -> JID? {
        client.resources(of: other).first { $0.disco?.has(MeshNamespaces.tunnel) == true }?.jid
    }

    /// What an honest device says.
    func names(to peer: String) -> TunnelNames { TunnelNames(from: jid, to: peer) }

    /// Opens a tunnel by the rules, and says those names inside, or none.
    func open(to node: LiveNode, saying names: TunnelNames?) async throws -> FakeTunnel {
        let address = try #require(JID(node.jid).flatMap(tunnelResource))
        let place = NIOLoopBoundBox<Connection?>.makeEmptyBox(valueType: Connection.self, eventLoop: loop.eventLoop)
        let (tls, loop) = (TunnelTLS(identity: identity), loop)
        _ = try await client.openBytestream(
            to: address, application: Element("description", namespace: MeshNamespaces.tunnel), on: loop.eventLoop
        ) { channel in
            channel.eventLoop.makeCompletedFuture {
                try tls.addClientHandlers(to: channel, peer: PeerKey())
                place.value = try QiPipeline.install(
                    on: channel, bus: loop.bus, role: .client, origin: .device(name: node.jid), owner: nil,
                    limits: ConnectionLimits(), credentials: names?.credentials ?? Capabilities())
            }
        }
        let connection = try await loop.run { (bus) async throws(QiError) in
            guard let connection = place.value else { throw QiError(.disconnected, "no connection") }
            try await connection.opened()
            return NIOLoopBound(connection, eventLoop: bus.eventLoop)
        }
        return FakeTunnel(loop: loop, connection: connection)
    }

    /// Takes every tunnel, and says those names inside.
    func accept(saying names: TunnelNames) {
        let (tls, loop) = (TunnelTLS(identity: identity), loop)
        client.setBytestreamHandler(applicationNamespace: MeshNamespaces.tunnel, on: loop.eventLoop) { offer in
            .accept { channel in
                channel.eventLoop.makeCompletedFuture {
                    try tls.addServerHandlers(to: channel, peer: PeerKey())
                    _ = try QiPipeline.install(
                        on: channel, bus: loop.bus, role: .server, origin: .device(name: "\(offer.from.bare)"), owner: nil,
                        limits: ConnectionLimits(), authenticator: { _, _ in names.credentials })
                }
            }
        }
    }
}

/// A tunnel of a ``FakeDevice``.
struct FakeTunnel: Sendable {
    fileprivate let loop: BusLoop
    fileprivate let connection: NIOLoopBound<Connection>

    /// Calls whatever it is told; nil for an answer, else the error's text.
    func call(_ action: ActionAddress, _ payload: ByteBuffer = ByteBuffer()) async throws -> String? {
        guard case .error(var payload) = try await answer(action, payload) else { return nil }
        return payload.readErrorPayload()
    }

    /// Asks the directory; nil when it knows the name, else the error's text.
    func lookUp(_ name: String) async throws -> String? {
        try await call(ActionAddress(.serviceDirectory, action: WellKnownActions.service), Self.text(name))
    }

    func id(of name: String) async throws -> UInt32 {
        let action = ActionAddress(.serviceDirectory, action: WellKnownActions.service)
        guard case .reply(let payload, let flags) = try await answer(action, Self.text(name)) else { throw QiError(.notFound, name) }
        return try ServiceInfo(qiValue: try payload.value(of: ServiceInfo.signature.type, flags: flags)).serviceID
    }

    private static func text(_ text: String) -> ByteBuffer {
        var payload = ByteBuffer()
        payload.writeQiString(QiString(text))
        return payload
    }

    private func answer(_ action: ActionAddress, _ payload: ByteBuffer) async throws -> CallAnswer {
        let answer = try await loop.run { (_) async throws(QiError) -> CallAnswer in
            await withUnsafeContinuation { continuation in
                connection.value.call(action, payload, deadline: .now() + .seconds(10)) { continuation.resume(returning: $0) }
            }
        }
        if case .failure(let error) = answer { throw error }
        return answer
    }
}

/// Runs `body` with an XMPP client that is nobody's contact.
///
/// - Parameter resource: what it logs in as; an account may be logged in several times.
func withStranger(
    _ user: String, in mesh: LiveMesh, resource: String = "qimesh", _ body: (XMPPClient) async throws -> Void
) async throws {
    let jid = try #require(JID("\(user)@\(mesh.xmpp.domain)"))
    var configuration = XMPPConfiguration(
        jid: jid, password: LiveMesh.password, server: .init(host: mesh.xmpp.host, port: mesh.xmpp.port))
    configuration.caFile = mesh.xmpp.caFile
    configuration.resource = resource
    let client = XMPPClient(configuration: configuration, logger: quiet, eventLoopGroup: MultiThreadedEventLoopGroup.singleton)
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await client.run() }
        do {
            _ = try await eventually("\(user) is online") { client.state.isOnline ? true : nil }
            try await body(client)
            client.shutdown()
        } catch {
            client.shutdown()
            throw error
        }
        try await group.waitForAll()
    }
}

/// Runs `body` with a device that is none of our nodes, a contact of `node` under its user name.
///
/// - Parameter identity: whose key it has; its own when nil.
func withFake(
    _ user: String, in mesh: LiveMesh, invitedBy node: LiveNode, identity: DeviceIdentity? = nil,
    _ body: (FakeDevice) async throws -> Void
) async throws {
    try await withTemporaryDirectory { folder in
        let fake = try FakeDevice(user, identity: try identity ?? DeviceIdentity.loadOrCreate(directory: folder), at: mesh.xmpp)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await fake.client.run() }
            do {
                try await fake.meet(node, as: user)
                try await body(fake)
                await fake.shutDown()
            } catch {
                await fake.shutDown()
                throw error
            }
            try await group.waitForAll()
        }
    }
}
