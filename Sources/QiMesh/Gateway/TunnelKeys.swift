import Logging
import QiMessaging

/// What is done with the keys that devices show on tunnels, in both directions: compared with the pinned one, pinned at the first contact,
/// and written down.
struct TunnelKeys: Sendable {
    let trust: TrustStore
    let logger: Logger
    /// Where changes and refusals are written down; nil where nothing is.
    let audit: AccessControl?

    /// For the key that a device shows that we reach.
    func outgoing(_ device: String) -> PeerKey {
        PeerKey { [trust] shown throws(MeshError) in
            if let refusal = try trust.check(jid: device, key: shown).refusal(jid: device, key: shown) { throw refusal }
        }
    }

    /// For the key that a device shows that comes to us.
    func incoming(_ device: String) -> PeerKey {
        PeerKey { shown throws(MeshError) in
            guard let refusal = try trust.check(jid: device, key: shown).refusal(jid: device, key: shown) else { return }
            refused(device, refusal.message)
            throw refusal
        }
    }

    /// The device has answered inside TLS: from now on this key is that device.
    ///
    /// - Throws: `.denied` when it showed none, or another one was pinned meanwhile.
    func pin(_ key: PeerKey, of device: String) throws(QiError) {
        do throws(MeshError) {
            guard let shown = key.fingerprint else { throw key.refusal ?? MeshError(.trust, "\(device) showed no key") }
            if try trust.pin(jid: device, key: shown) { recordPin(shown, of: device) }
        } catch {
            throw QiError(.denied, error.message, hint: error.hint)
        }
    }

    /// The first key of a device is written down with its fingerprint: who looks later can compare it.
    func recordPin(_ key: KeyFingerprint, of device: String) {
        logger.notice("first contact", metadata: ["xmpp.peer.jid": "\(device)", "qimesh.key": "\(key)"])
        audit?.record(
            AuditRecord(
                event: "pin", principal: device, zone: .internet, target: "\(key)", access: "pin", isAllowed: true,
                path: "device \(device)", detail: "first contact"))
    }

    /// Writes down that a device's tunnel was not let in.
    func refused(_ device: String, _ reason: String) {
        logger.notice("tunnel refused", metadata: ["xmpp.peer.jid": "\(device)", "error": "\(reason)"])
        audit?.record(
            AuditRecord(
                event: "refused", principal: device, zone: .internet, target: "tunnel", access: "connect", isAllowed: false,
                path: "device \(device)", detail: reason))
    }
}
