import QiMessaging

/// Why a device that was given a token did not pair.
enum PairingFailure: Hashable, Sendable {
    case refused(PairingRefusal)
    /// Somebody answered for the device who does not know the token.
    case forged
    /// Nobody answered in time; what the last attempt met.
    case unanswered(String)
    /// The token was taken, but the servers have not made the two contacts.
    case noContact

    /// What is told on the side that was given the token.
    /// - Parameter device: the other device's address.
    func error(of device: String) -> QiError {
        switch self {
        case .refused(let refusal): refusal.error(from: device)
        case .forged:
            QiError(
                .denied, "whoever answered for \(device) does not know the token: a server on the way answers in its place",
                hint: "pair through another XMPP server")
        case .unanswered(let trouble):
            QiError(
                .offline, "\(device) did not answer: \(trouble)",
                hint: "there: qimesh status; to wait longer, here: qimesh pair --wait-online 1h")
        case .noContact:
            QiError(
                .timedOut, "\(device) has taken the token, but the servers have not made it a contact yet",
                hint: "to see it come: qimesh devices; or: qimesh invite \(word: device)")
        }
    }
}
