import QiMessaging
import XMPP

extension XMPPGateway {
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
