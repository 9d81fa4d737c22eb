/// A request of another entity, to be answered exactly once (RFC 6120 §8.2.3).
public struct IQRequest: Hashable, Sendable {
    /// Whether the request asks or changes something.
    public enum Kind: String, Hashable, Sendable {
        /// Asks for something.
        case get
        /// Changes something.
        case set
    }

    /// The asker's id of the request, at most 1023 bytes; unique only together with ``from``.
    public let id: String
    /// Who asks, usually a full address.
    public let from: JID
    /// Get or set.
    public let kind: Kind
    /// The one child element.
    public let payload: Element

    /// Makes a request; sessions do, and tests.
    public init(id: String, from: JID, kind: Kind, payload: Element) {
        self.id = id
        self.from = from
        self.kind = kind
        self.payload = payload
    }
}
