import QiMessaging

/// Why a token was not taken. The raw value is the condition in a refusal's stanza error, in the namespace
/// ``MeshNamespaces/pairing``.
enum PairingRefusal: String, Hashable, Sendable, CaseIterable, Codable {
    /// No such token was made here.
    case unknown = "unknown-token"
    /// It was taken before.
    case used = "used-token"
    /// Its time is over.
    case expired = "expired-token"
    /// Its owner took it back.
    case cancelled = "cancelled-token"
    /// The proof is of another token, or of other addresses or keys: somebody on the way changed them.
    case wrongProof = "wrong-proof"
    /// The pairing device's address or key is known together with another one.
    case keyConflict = "key-conflict"

    /// What the owner of the enrolling device reads.
    var told: String {
        switch self {
        case .unknown: "with a token that was not made here"
        case .used: "with a token that was used already"
        case .expired: "with an expired token"
        case .cancelled: "with a cancelled token"
        case .wrongProof: "without knowing the token, or with addresses or keys that were changed on the way"
        case .keyConflict: "with an address or a key that is pinned otherwise"
        }
    }

    /// What the pairing device's side is told.
    func error(from device: String) -> QiError {
        let again = "on \(device): qimesh enroll; here, with the new token: qimesh pair"
        return switch self {
        case .unknown: QiError(.denied, "\(device) does not know this token", hint: again)
        case .used:
            QiError(
                .denied, "this token was used already; if not by you, somebody else has it",
                hint: "on \(device), to see who used it: qimesh enroll --list; for another: qimesh enroll")
        case .expired: QiError(.denied, "this token has expired", hint: again)
        case .cancelled: QiError(.denied, "\(device) has taken this token back", hint: again)
        case .wrongProof:
            QiError(
                .denied, "\(device) refuses the proof: the token is damaged, or a server on the way changed addresses or keys",
                hint: again)
        case .keyConflict:
            QiError(
                .denied, "\(device) knows this device's address or key together with another one",
                hint: "on \(device): qimesh revoke JID, with this device's address; then there: qimesh enroll; and here: qimesh pair")
        }
    }
}
