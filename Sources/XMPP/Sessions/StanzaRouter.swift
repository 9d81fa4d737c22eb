/// Decides who speaks and what a request gets (reference `xmpp.md` §6.7; RFC 6120 §8.4). A value without state.
struct StanzaRouter {
    /// Who sent a stanza, as far as it matters.
    enum Sender: Equatable {
        /// Our own server, or our own account through it.
        case server
        /// An account that sees us and that we see.
        case contact
        /// Everybody else, other connections of our own account included.
        case stranger
    }

    /// What a request gets.
    enum Route: Equatable {
        case ping, version, discoInfo(node: String?), discoItems(node: String?)
        /// A change of the contact list.
        case rosterPush
        /// Jingle or in-band data.
        case bytestream
        /// A handler for that child, or else that error.
        case handler(orElse: StanzaError)
        case refuse(StanzaError)
    }

    /// Who that is. `own` is our full address.
    static func sender(_ from: JID?, own: JID, isMutual: (JID) -> Bool) -> Sender {
        guard let from else { return .server }
        if from == own.bare || from == own.server { return .server }
        // Another connection of our account is not our contact list's business.
        if from.bare == own.bare { return .stranger }
        return isMutual(from.bare) ? .contact : .stranger
    }

    /// What a well-formed request of somebody who may ask gets.
    static func route(_ kind: IQRequest.Kind, _ payload: Element, from sender: Sender) -> Route {
        if sender == .stranger { return .refuse(.serviceUnavailable) }
        switch (payload.namespace, payload.name, kind) {
        case (Namespaces.ping, "ping", .get): return .ping
        case (Namespaces.version, "query", .get): return .version
        case (Namespaces.discoInfo, "query", .get): return .discoInfo(node: payload["node"])
        case (Namespaces.discoItems, "query", .get): return .discoItems(node: payload["node"])
        // Pushes of anybody but our own server would let him edit our contacts (RFC 6121 §2.1.6).
        case (Namespaces.roster, "query", .set) where sender == .server: return .rosterPush
        case (Namespaces.jingle, _, _), (Namespaces.ibb, _, _):
            return sender == .contact && kind == .set ? .bytestream : .refuse(isKnownError(sender))
        case (Namespaces.ping, _, _), (Namespaces.version, _, _), (Namespaces.discoInfo, _, _),
            (Namespaces.discoItems, _, _):
            return .refuse(.featureNotImplemented)
        default:
            return sender == .contact ? .handler(orElse: .serviceUnavailable) : .refuse(.serviceUnavailable)
        }
    }

    private static func isKnownError(_ sender: Sender) -> StanzaError {
        sender == .contact ? .featureNotImplemented : .serviceUnavailable
    }
}
