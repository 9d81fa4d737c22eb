import QiMessaging
import QiWire
import XMPP

/// What two devices say of each other inside a tunnel's TLS: each names itself and whom it means, and a mismatch ends it
/// (reference xmpp §6.3). Travels with `authenticate`, as credentials.
struct TunnelNames: Hashable {
    /// The bare JID of whoever sends this.
    let from: String
    /// The bare JID it believes to talk to.
    let to: String

    private static let fromKey = Capabilities.Name.credentialPrefix + "qimesh_from"
    private static let toKey = Capabilities.Name.credentialPrefix + "qimesh_to"

    var credentials: Capabilities {
        var map = Capabilities()
        map[Self.fromKey] = QiDynamic(.string(from))
        map[Self.toKey] = QiDynamic(.string(to))
        return map
    }

    /// Checks what the peer said against who it has to be.
    ///
    /// - Throws: `.denied` when a name is missing or another one.
    static func check(_ map: Capabilities, peer: String, own: String) throws(QiError) {
        guard let from = map[fromKey]?.value.asString, let to = map[toKey]?.value.asString else {
            throw QiError(.denied, "the other side of the tunnel to \(peer) does not say who it is", hint: "it runs another version of QiMesh")
        }
        guard from == peer, to == own else {
            throw QiError(
                .denied,
                "the other side of the tunnel calls itself \(from) and us \(to), but this is a tunnel between \(peer) and \(own)",
                hint: "on both devices, to compare: qimesh identity")
        }
    }
}
