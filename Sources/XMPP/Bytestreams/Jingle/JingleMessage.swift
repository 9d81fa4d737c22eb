/// A `<jingle/>` element (XEP-0166 §7): one step of a session's negotiation.
///
/// Only what a session with one content needs is understood; the rest is kept by name, so that it
/// can be answered as the specification says.
struct JingleMessage: Hashable, Sendable {
    /// What the step does (XEP-0166 §7.2).
    enum Action: String, Sendable {
        case sessionInitiate = "session-initiate"
        case sessionAccept = "session-accept"
        case sessionInfo = "session-info"
        case sessionTerminate = "session-terminate"
        case contentAccept = "content-accept"
        case contentAdd = "content-add"
        case contentModify = "content-modify"
        case contentReject = "content-reject"
        case contentRemove = "content-remove"
        case descriptionInfo = "description-info"
        case securityInfo = "security-info"
        case transportAccept = "transport-accept"
        case transportInfo = "transport-info"
        case transportReject = "transport-reject"
        case transportReplace = "transport-replace"
    }

    /// Most contents that are read; ours have one.
    static let mostContents = 4

    var action: Action
    /// The session's id: chosen by the initiator, at most 256 bytes, unique only together with the two addresses.
    var sid: String
    var initiator: JID?
    var responder: JID?
    var contents: [JingleContent] = []
    var reason: JingleReason?
    /// Whether something else is inside: a session-info without it is a ping (XEP-0166 §6.8).
    var hasPayload = false

    /// A step we take.
    init(
        _ action: Action, sid: String, initiator: JID? = nil, responder: JID? = nil, contents: [JingleContent] = [],
        reason: JingleReason? = nil
    ) {
        self.action = action
        self.sid = sid
        self.initiator = initiator
        self.responder = responder
        self.contents = contents
        self.reason = reason
    }

    /// Reads a step; throws `bad-request` for one that breaks the schema of XEP-0166 §16.
    init(parsing element: Element) throws(StanzaError) {
        guard let action = element["action"].flatMap(Action.init(rawValue:)), let sid = element["sid"],
            StreamName.isValid(sid)
        else { throw .badRequest }
        self.init(action, sid: sid)
        initiator = element["initiator"].flatMap { JID($0) }
        responder = element["responder"].flatMap { JID($0) }
        let contents = element.children("content", Namespaces.jingle)
        guard contents.count <= JingleMessage.mostContents else { throw .badRequest }
        for content in contents { self.contents.append(try JingleContent(parsing: content)) }
        reason = element["reason", Namespaces.jingle].map { JingleReason(parsing: $0) }
        hasPayload = element.children.contains { $0.name != "content" && $0.name != "reason" }
    }

    /// The step as it is sent.
    var element: Element {
        var element = Element(
            "jingle", namespace: Namespaces.jingle, attributes: ["action": action.rawValue, "sid": sid],
            children: contents.map(\.element))
        element["initiator"] = initiator?.description
        element["responder"] = responder?.description
        if let reason { element.children.append(reason.element) }
        return element
    }
}

extension StanzaError {
    /// The error with a condition of Jingle's own (XEP-0166 §10).
    func jingle(_ condition: String) -> StanzaError {
        var error = self
        error.application = Element(condition, namespace: Namespaces.jingleErrors)
        return error
    }

    /// There is no session of that id with that peer.
    static let unknownSession = StanzaError.itemNotFound.jingle("unknown-session")
    /// The step does not fit the state of the session.
    static let outOfOrder = StanzaError.unexpectedRequest.jingle("out-of-order")
    /// The step carries something we do not know.
    static let unsupportedInfo = StanzaError(.modify, "feature-not-implemented").jingle("unsupported-info")
}
