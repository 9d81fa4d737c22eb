/// Ping (XEP-0199).
final class PingExtension: XMPPExtension {
    /// A question that anything that is there answers, if only with an error.
    static let question = Element("ping", namespace: Namespaces.ping)

    let features = [Namespaces.ping]

    var requests: [RequestRule] {
        [RequestRule(Namespaces.ping) { $0.kind == .get && $0.payload.name == "ping" ? .now(.success(nil)) : nil }]
    }
}
