extension XMPPClient {
    /// Sends a request and waits for its answer (RFC 6120 §8.2.3). An answer counts only from the address that was asked.
    /// - Parameters:
    ///   - address: Whom to ask; nil asks our own account on our own server.
    ///   - kind: Get or set.
    ///   - payload: The one child.
    ///   - timeout: How long to wait.
    /// - Returns: The answer's child; nil when it has none.
    /// - Throws: `.stanza` for an error answer, `.timedOut`, `.notConnected`, `.connectionLost`, `.cancelled`,
    ///   `.limitExceeded` when too many requests are waiting.
    @discardableResult
    public func iq(
        to address: JID?, _ kind: IQRequest.Kind, _ payload: Element, timeout: Duration = .seconds(10)
    ) async throws(XMPPError) -> Element? {
        try await host.request(to: address, kind, payload, timeout: timeout)
    }

    /// Answers requests of mutual contacts whose child has that namespace and name. A later handler replaces an earlier
    /// one. Strangers get service-unavailable before any handler is asked. At most `limits.handlersAtOnce` run at a time.
    public func handleIQ(
        namespace: String, name: String,
        _ handler: @escaping @Sendable (IQRequest) async -> Result<Element?, StanzaError>
    ) {
        host.handlers.setRequest(namespace: namespace, name: name, handler)
    }

    /// Opens one kind of request, a `set` whose one child has that namespace and name, to accounts that are no contacts. All other
    /// requests of theirs still get service-unavailable (RFC 6120 §8.3.3.19), and so do these when the handler answers nil, when
    /// `limits.openHandlersAtOnce` run already, and after `nil` has taken the handler's place. Strangers share one rate limit,
    /// `limits.requestsPerSecond`; over it they hear nothing. Contacts reach the handler the same way.
    public func handleIQFromAnybody(namespace: String, name: String, _ handler: OpenRequestHandler?) {
        host.handlers.setOpenRequest(namespace: namespace, name: name, handler)
    }

    /// Round trip of a ping (XEP-0199). An entity that does not know pings still answers with an error: that counts.
    /// - Throws: As ``iq(to:_:_:timeout:)``; `.stanza` when the address is not reachable.
    public func ping(_ address: JID, timeout: Duration = .seconds(10)) async throws(XMPPError) -> Duration {
        let start = ContinuousClock.now
        do throws(XMPPError) {
            _ = try await iq(to: address, .get, PingExtension.question, timeout: timeout)
        } catch {
            guard error.stanzaError?.condition == "feature-not-implemented" else { throw error }
        }
        return ContinuousClock.now - start
    }

    /// Sends any stanza as it stands; for tests of bad stanzas.
    func sendRaw(_ stanza: Element) {
        host.enqueue { $0.sendRaw(stanza) }
    }

    /// Asks with any type and any text between the tags; for tests of bad requests.
    func rawRequest(to address: JID, type: String, children: String) async throws(XMPPError) -> Element? {
        try await host.rawRequest(to: address, type: type, children: children)
    }

    /// Sends any text as it stands; for tests of bad XML.
    func sendRaw(_ text: String) {
        host.enqueue { $0.sendRaw(Array(text.utf8)) }
    }
}
