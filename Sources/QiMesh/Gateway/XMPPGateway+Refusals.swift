import Logging
import QiMessaging
import XMPP

extension XMPPGateway {
    /// Why a device is let do nothing here, before a handshake is spent on it; nil where it may do something, and where only the key it
    /// will show can tell.
    func refusalByPolicy(of device: String) -> String? {
        guard let control = server.access else { return nil }
        let policy = control.policy
        // An entry that cannot be read says nothing of the key.
        let key = (try? trust.entry(jid: device))?.key.hexadecimal
        let principal = Principal(.device(device), zone: .internet, fingerprint: key)
        guard !policy.grantsAnything(to: principal), key != nil || !policy.namesKeys else { return nil }
        let refusal = policy.refusalOfEverything(to: principal)
        logger.notice("tunnel refused", metadata: ["xmpp.peer.jid": "\(device)", "error": "\(refusal)"])
        control.record(
            AuditRecord(
                event: "denied", principal: device, zone: .internet, target: "tunnel", access: "connect", isAllowed: false,
                path: "device \(device)", detail: refusal))
        return refusal
    }

    /// Why a device gave us no tunnel.
    static func pathError(_ error: XMPPError, _ device: String) -> QiError {
        switch error.code {
        case .timedOut: QiError(.timedOut, "\(device) did not answer the request for a tunnel within 20 s", cause: error)
        case .streamRefused:
            // What the device's policy says stands for itself.
            QiError(
                .denied,
                error.message.ranges(of: "denied: ").first.map { String(error.message[$0.lowerBound...]) }
                    ?? "\(device) refuses the tunnel: \(error.message)", cause: error)
        default: QiError(.offline, "no tunnel to \(device): \(error.message)", cause: error)
        }
    }
}
