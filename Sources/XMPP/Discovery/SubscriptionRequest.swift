/// An account's wish to see our presence (RFC 6121 §3.1).
public struct SubscriptionRequest: Hashable, Sendable {
    /// Who asks: a bare address.
    public let from: JID
    /// A text for the owner, at most 1024 bytes; from outside, so show it as a quotation.
    public let text: String
    /// Token of a pre-arranged pairing (XEP-0379 §3), at most 1023 bytes.
    public let token: String?

    /// Makes a request.
    public init(from: JID, text: String = "", token: String? = nil) {
        self.from = from.bare
        self.text = text
        self.token = token
    }
}
