/// Limits of a stream that its server announces in the stream features (XEP-0478 §3.1):
/// `<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>262144</max-bytes><idle-seconds>600</idle-seconds></limits>`.
public struct StreamLimits: Hashable, Sendable {
    /// Most bytes of one stanza of ours; nil when the server does not say.
    public var maxBytes: Int?
    /// Seconds without any traffic from us after which the server may end the stream; nil when the server does not say.
    public var idleSeconds: Int?

    /// With less than this nothing works; RFC 6120 §13.12 asks for 10 000.
    static let leastBytes = 2000

    /// No limits.
    public init(maxBytes: Int? = nil, idleSeconds: Int? = nil) {
        self.maxBytes = maxBytes
        self.idleSeconds = idleSeconds
    }

    /// Reads `<limits/>`; what is missing, or no number above zero, is no limit.
    init(parsing limits: Element) {
        maxBytes = limits.child("max-bytes").flatMap { StreamLimits.number($0) }.map { max($0, StreamLimits.leastBytes) }
        idleSeconds = limits.child("idle-seconds").flatMap { StreamLimits.number($0) }
    }

    private static func number(_ element: Element) -> Int? {
        let text = element.text.filter { !$0.isWhitespace }
        guard let number = Int(text), number > 0 else { return nil }
        return number
    }
}
