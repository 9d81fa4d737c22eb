/// What the pins say about a key that a JID shows.
public enum TrustVerdict: Hashable, Sendable {
    /// The key is the one pinned to the JID.
    case pinned
    /// Neither the JID nor the key is known: first contact.
    case new
    /// The JID has another key.
    case changed(old: KeyFingerprint)
    /// The JID is unknown and the key is pinned to another JID.
    case keyBelongsTo(jid: String)
    /// The owner ended all access of the JID, and has not let it in again.
    case revoked
    /// The JID is unknown, and the owner ended all access of another JID that had this key.
    case keyRevoked(jid: String)

    /// The error to end the connection with, naming the command that accepts the key; `nil` when there is nothing to refuse.
    public func refusal(jid: String, key: KeyFingerprint) -> MeshError? {
        switch self {
        case .pinned, .new:
            nil
        case .changed(let old):
            MeshError(
                .trust,
                "\(jid) shows another key than before: the device was set up anew, or somebody stands between (pinned "
                    + "\(old), shown \(key))",
                hint: "on that device: qimesh identity; if it prints the key that is shown, here: qimesh trust \(word: jid)")
        case .keyBelongsTo(let other):
            MeshError(
                .trust, "\(jid) shows the key \(key), which is pinned to \(other)",
                hint: "if the device has moved to the new account: qimesh trust \(word: other) --forget")
        case .keyRevoked(let other):
            MeshError(
                .trust, "\(jid) shows the key \(key) of \(other), which was revoked on this device",
                hint: "to let that device in again: qimesh invite \(word: other); "
                    + "under its new address: qimesh trust \(word: other) --forget")
        case .revoked:
            MeshError(
                .trust, "\(jid) was revoked on this device", hint: "to let it in again: qimesh invite \(word: jid)")
        }
    }
}
