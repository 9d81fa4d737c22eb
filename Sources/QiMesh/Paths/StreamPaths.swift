import NIOCore
import QiMessaging
import XMPP

/// The paths that a stream to one contact may take, over the account that has it: each is a Jingle session of its own (XEP-0166), with TLS
/// of its own, so that a path that works is never touched by the trial of another.
final class StreamPaths: StreamPathSource {
    /// An in-band path whose rate is not known.
    static let narrow = PathWidth(piece: 2048, most: 256_000)

    private let gateway: XMPPGateway
    private let device: JID
    private let key: PeerKey

    /// - Parameter key: takes the keys that the device shows on all its paths, which are one, or the path is refused.
    init(to device: JID, over gateway: XMPPGateway, key: PeerKey) {
        self.gateway = gateway
        self.device = device
        self.key = key
    }

    private var name: String { "\(device)" }

    let kinds = [PathKind.inBand]

    var refusal: QiError? { key.refusal.map { QiError(.denied, $0.message, hint: $0.hint) } }

    func width(of kind: PathKind) -> PathWidth { kind == .inBand ? Self.narrow : .wide }

    func open(
        _ kind: PathKind, on eventLoop: any EventLoop, install: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) async throws(QiError) {
        guard gateway.contacts.isContact(device) else { throw TunnelAttempt.noContact(name) }
        guard gateway.client.state.isOnline else {
            throw QiError(
                .offline, "\(name) cannot be reached: this node is not connected to \(gateway.own.domain)", hint: "qimesh status")
        }
        let resource = try await gateway.peers.awaitTunnelResource(of: device, name: name)
        do throws(XMPPError) {
            _ = try await gateway.client.openBytestream(
                to: resource.jid, application: Element("description", namespace: MeshNamespaces.stream), on: eventLoop,
                timeout: .seconds(20)
            ) { [identity = gateway.identity, key] channel in
                channel.eventLoop.makeCompletedFuture {
                    try Self.prepare(channel, kind)
                    try identity.tls.addClientHandlers(to: channel, peer: key)
                    try channel.pipeline.syncOperations.addHandler(TunnelEndHandler())
                }
                .flatMap { install(channel) }
            }
            gateway.peers.asked(device, answered: true)
        } catch {
            if error.code == .timedOut { gateway.peers.asked(device, answered: false) }
            throw XMPPGateway.pathError(error, name)
        }
    }

    /// What comes later can pass only what has not been given to the path yet: a narrow one is given one piece at a time.
    static func prepare(_ channel: any Channel, _ kind: PathKind) throws {
        guard kind == .inBand else { return }
        try channel.syncOptions?.setOption(.writeBufferWaterMark, value: .init(low: 1, high: 1))
    }
}
