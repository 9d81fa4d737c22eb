/// Decides who speaks and what a request gets (reference `xmpp.md` §6.7; RFC 6120 §8.4): by the rules that the extensions of a session
/// registered, and for the rest by handlers that its owner set. A value.
struct StanzaRouter {
    private let rules: [String: RequestRule]
    private let handlers: ClientHandlers

    /// Each namespace is registered by one of the extensions; `handlers` take other requests of contacts.
    init(_ extensions: [any XMPPExtension], handlers: ClientHandlers) {
        self.handlers = handlers
        rules = Dictionary(uniqueKeysWithValues: extensions.flatMap(\.requests).map { ($0.namespace, $0) })
    }

    /// Who that is. `own` is our full address.
    static func sender(_ from: JID?, own: JID, isMutual: (JID) -> Bool) -> StanzaSender {
        guard let from else { return .server }
        if from == own.bare || from == own.server { return .server }
        // Another connection of our account is not our contact list's business.
        if from.bare == own.bare { return .stranger }
        return isMutual(from.bare) ? .contact : .stranger
    }

    /// What answers a well-formed request with that child. A known namespace with a request that is not implemented is another error than
    /// an unknown one (RFC 6120 §8.4).
    func route(_ payload: Element, from sender: StanzaSender) -> (IQRequest) -> RequestAnswer {
        let namespace = payload.namespace ?? ""
        if sender != .stranger, let rule = rules[namespace], rule.senders.contains(sender) {
            return { rule.answer($0) ?? .now(.failure(.featureNotImplemented)) }
        }
        guard sender == .contact, let names = handlers.requests(namespace: namespace) else { return { _ in .now(.failure(.serviceUnavailable)) } }
        return { _ in names[payload.name].map { .later($0) } ?? .now(.failure(.featureNotImplemented)) }
    }
}
