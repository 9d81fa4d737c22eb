/// An error stanza: what one entity answers to another's request (RFC 6120 §8.3).
public struct StanzaError: Error, Hashable, Sendable {
    /// What the asker should do about it (RFC 6120 §8.3.2).
    public enum Kind: String, Hashable, Sendable {
        /// Log in or get permission first.
        case auth
        /// Give up.
        case cancel
        /// Only a warning.
        case `continue`
        /// Change the request.
        case modify
        /// Try again later.
        case wait
    }

    /// What the asker should do.
    public var type: Kind
    /// The defined condition, for example `item-not-found` (RFC 6120 §8.3.3).
    public var condition: String
    /// Text for a person, from whoever answered; may be empty. At most 1024 bytes are kept of a peer's.
    public var text: String
    /// A condition of an application's own namespace, for example Jingle's `unknown-session` (XEP-0166 §10).
    public var application: Element?

    /// Makes an error to answer with.
    public init(_ type: Kind, _ condition: String, text: String = "", application: Element? = nil) {
        self.type = type
        self.condition = condition
        self.text = text
        self.application = application
    }

    /// There is nobody here for this request; also what strangers get for everything (RFC 6120 §8.3.3.19).
    public static let serviceUnavailable = StanzaError(.cancel, "service-unavailable")
    /// The namespace is known, this request of it is not (RFC 6120 §8.3.3.3).
    public static let featureNotImplemented = StanzaError(.cancel, "feature-not-implemented")
    /// The request breaks its schema (RFC 6120 §8.3.3.1).
    public static let badRequest = StanzaError(.modify, "bad-request")
    /// No such node, stream or item (RFC 6120 §8.3.3.7).
    public static let itemNotFound = StanzaError(.cancel, "item-not-found")
    /// The answerer does not take it in this form (RFC 6120 §8.3.3.9).
    public static let notAcceptable = StanzaError(.cancel, "not-acceptable")
    /// Too much at once (RFC 6120 §8.3.3.18).
    public static let resourceConstraint = StanzaError(.wait, "resource-constraint")
    /// Our answer is larger than our server takes (XEP-0478 §4).
    static let tooLarge = StanzaError(.cancel, "policy-violation", text: "the answer is larger than the server takes")
    /// Out of order for the state the two are in (RFC 6120 §8.3.3.22).
    public static let unexpectedRequest = StanzaError(.wait, "unexpected-request")
}

extension StanzaError {
    /// Longest text kept of a peer's error, in bytes.
    static let longestText = 1024

    /// Reads an `<error/>`; a broken one becomes `undefined-condition`.
    init(parsing element: Element?) {
        guard let element else {
            self.init(.cancel, "undefined-condition")
            return
        }
        let defined = element.children.first { $0.namespace == Namespaces.stanzas && $0.name != "text" }
        let application = element.children.first { $0.namespace != Namespaces.stanzas }
        self.init(
            element["type"].flatMap(Kind.init(rawValue:)) ?? .cancel, defined?.name ?? "undefined-condition",
            text: (element["text", Namespaces.stanzas]?.text ?? "").cut(toBytes: StanzaError.longestText),
            application: application)
    }

    /// The `<error/>` child of an error stanza.
    var element: Element {
        var children = [Element(condition, namespace: Namespaces.stanzas)]
        if !text.isEmpty { children.append(Element("text", namespace: Namespaces.stanzas, text: text)) }
        if let application { children.append(application) }
        return Element("error", attributes: ["type": type.rawValue], children: children)
    }
}

extension StanzaError: CustomStringConvertible {
    /// `condition (type): text`.
    public var description: String {
        let detail = application.map { " [\($0.name)]" } ?? ""
        return "\(condition) (\(type.rawValue))\(detail)\(text.isEmpty ? "" : ": \(text)")"
    }
}
