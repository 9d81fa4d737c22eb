import Logging
import NIOCore
import QiMessaging
import QiWire
import XMPP

/// Decides about the tunnels that contacts open to us, over one account.
struct TunnelAcceptor: Sendable {
    let own: JID
    let server: DirectoryServer
    let identity: CurrentIdentity
    let contacts: AccountContacts
    let keys: TunnelKeys
    let callsPerPeer: Int
    /// The kinds of path that are on.
    let ways: PathNetworks
    /// What a path lets through now.
    let width: @Sendable (PathKind) -> PathWidth

    func decide(_ offer: BytestreamOffer) -> BytestreamDecision {
        let device = "\(offer.from.bare)"
        let isStream = offer.application.namespace == MeshNamespaces.stream
        // Answers that are on their way may need another path.
        if server.isStopping, !isStream || !server.hasStream(of: device) { return .decline(reason: "this node is stopping") }
        if let refusal = refusalByPolicy(of: device) { return .decline(reason: refusal) }
        let wanted: BytestreamTransport?
        do throws(QiError) { wanted = try isStream ? ways.wanted(by: offer) : nil } catch { return .decline(reason: error.message) }
        let initializer = initializer(offer, device, isStream: isStream)
        return wanted.map { .acceptOver($0, initializer) } ?? .acceptReporting(initializer)
    }

    private func initializer(
        _ offer: BytestreamOffer, _ device: String, isStream: Bool
    ) -> @Sendable (any Channel, BytestreamReport) -> EventLoopFuture<Void> {
        let key = keys.incoming(device)
        return { channel, report in
            channel.eventLoop.makeCompletedFuture {
                try identity.tls.addServerHandlers(to: channel, peer: key)
                try channel.pipeline.syncOperations.addHandler(TunnelEndHandler())
                let shown: @Sendable () -> String? = { key.fingerprint?.hexadecimal }
                let verify: @Sendable (Capabilities) throws(QiError) -> Capabilities = { (said) throws(QiError) in
                    try judge(said, offer.from, key)
                }
                if isStream {
                    let kind = MeshConfiguration.Paths.Kind(report)
                    try kind.prepare(channel)
                    try server.acceptPath(
                        channel, from: device, program: "\(offer.from)", by: kind.path, width: { [width] in width(kind.path) }, callsInFlight: callsPerPeer,
                        key: shown, judge: verify)
                } else {
                    try server.accept(channel, from: device, callsInFlight: callsPerPeer, key: shown, judge: verify)
                }
            }
        }
    }

    /// What the device says of itself, inside the encryption: whether it is who it has to be, and what we say.
    private func judge(_ said: Capabilities, _ from: JID, _ key: PeerKey) throws(QiError) -> Capabilities {
        let device = "\(from.bare)"
        do throws(QiError) {
            try TunnelNames.check(said, peer: device, own: "\(own)")
            guard contacts.isContact(from) else { throw QiError(.denied, "\(device) is no contact any more") }
            try keys.pin(key, of: device)
        } catch {
            keys.refused(device, error.message)
            throw error
        }
        keys.logger.info("tunnel accepted", metadata: ["xmpp.peer.jid": "\(device)"])
        return TunnelNames(from: "\(own)", to: device).credentials
    }

    /// Why a device is let do nothing here, before a handshake is spent on it; nil where it may do something, and where only the key it
    /// will show can tell.
    private func refusalByPolicy(of device: String) -> String? {
        guard let control = server.access else { return nil }
        let policy = control.policy
        // An entry that cannot be read says nothing of the key.
        let key = (try? keys.trust.entry(jid: device))?.key.hexadecimal
        let principal = Principal(.device(device), zone: .internet, fingerprint: key)
        guard !policy.grantsAnything(to: principal), key != nil || !policy.namesKeys else { return nil }
        let refusal = policy.refusalOfEverything(to: principal)
        keys.logger.notice("tunnel refused", metadata: ["xmpp.peer.jid": "\(device)", "error": "\(refusal)"])
        control.record(
            AuditRecord(
                event: "denied", principal: device, zone: .internet, target: "tunnel", access: "connect", isAllowed: false,
                path: "device \(device)", detail: refusal))
        return refusal
    }
}
