import NIOCore
import QiMessaging
import QiWire
import XMPP

/// One attempt to reach a contact, over the account that has it: by a stream, or by a tunnel of one bytestream when it is a node of before.
final class TunnelAttempt: PathAttempt {
    private let gateway: XMPPGateway
    /// With a resource where one program of several is meant.
    private let device: JID
    let key: PeerKey

    init(to device: JID, over gateway: XMPPGateway) {
        self.gateway = gateway
        self.device = device
        key = gateway.keys.outgoing("\(device.bare)")
    }

    private var name: String { "\(device.bare)" }

    let path = PathKind.inBand

    /// What is said of a device that may not be reached any more.
    static func noContact(_ device: String) -> QiError { QiError(.denied, "\(device) is no contact any more", hint: "qimesh devices") }

    var credentials: Capabilities { TunnelNames(from: "\(gateway.own)", to: name).credentials }

    var refusal: QiError? { key.refusal.map { QiError(.denied, $0.message, hint: $0.hint) } }

    func open(
        on eventLoop: any EventLoop, install: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) async throws(QiError) {
        guard gateway.client.state.isOnline else {
            throw QiError(
                .offline, "\(name) cannot be reached: this node is not connected to \(gateway.own.domain)", hint: "qimesh status")
        }
        let resource = try await gateway.peers.awaitTunnelResource(of: device, name: name)
        do throws(XMPPError) {
            _ = try await gateway.client.openBytestream(
                to: resource.jid, application: Element("description", namespace: MeshNamespaces.tunnel), on: eventLoop,
                timeout: .seconds(20)
            ) { [identity = gateway.identity, key] channel in
                channel.eventLoop.makeCompletedFuture {
                    try identity.tls.addClientHandlers(to: channel, peer: key)
                    try channel.pipeline.syncOperations.addHandler(TunnelEndHandler())
                }
                .flatMap { install(channel) }
            }
            await gateway.peers.asked(device, answered: true)
        } catch {
            if error.code == .timedOut { await gateway.peers.asked(device, answered: false) }
            throw XMPPGateway.pathError(error, name)
        }
    }

    func stream() async throws(QiError) -> (any StreamPathSource)? {
        guard gateway.client.state.isOnline else { return nil }
        let resource = try await gateway.peers.awaitTunnelResource(of: device, name: name)
        guard resource.disco?.has(MeshNamespaces.stream) == true else { return nil }
        return StreamPaths(to: device, over: gateway, key: key)
    }

    func verify(_ answer: Capabilities) throws(QiError) {
        // It may have been revoked while the tunnel was set up.
        guard gateway.contacts.isContact(device) else { throw Self.noContact(name) }
        try TunnelNames.check(answer, peer: name, own: "\(gateway.own)")
        try gateway.keys.pin(key, of: name)
    }
}
