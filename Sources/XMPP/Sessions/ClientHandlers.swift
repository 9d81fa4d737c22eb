import Synchronization

/// What the owner of a client answers with. Any thread sets it, and it is in force as soon as the call returns: a request that arrives
/// later is answered by it, whatever the client's thread has read or taken in hand meanwhile.
final class ClientHandlers: Sendable {
    /// Names one kind of request.
    struct RequestName: Hashable {
        let namespace: String
        let name: String
    }

    private struct Tables {
        var requests: [String: [String: RequestHandler]] = [:]
        var openRequests: [RequestName: OpenRequestHandler] = [:]
        var offers: [String: BytestreamOfferHandler] = [:]
        var socks5: SOCKS5Options?
        var items: (@Sendable (JID) -> [DiscoItem])?
        var nodes: [String: @Sendable (JID) async -> DiscoInfo?] = [:]
    }

    private let tables = Mutex(Tables())

    // MARK: Requests

    func setRequest(namespace: String, name: String, _ handler: @escaping RequestHandler) {
        tables.withLock { $0.requests[namespace, default: [:]][name] = handler }
    }

    /// Those of one namespace by name; nil when there is none.
    func requests(namespace: String) -> [String: RequestHandler]? { tables.withLock { $0.requests[namespace] } }

    /// `handler` nil takes it away again.
    func setOpenRequest(namespace: String, name: String, _ handler: OpenRequestHandler?) {
        tables.withLock { $0.openRequests[RequestName(namespace: namespace, name: name)] = handler }
    }

    /// The handler of a request that needs no contact.
    func openRequest(namespace: String, name: String) -> OpenRequestHandler? {
        tables.withLock { $0.openRequests[RequestName(namespace: namespace, name: name)] }
    }

    // MARK: Bytestreams

    func setOffer(applicationNamespace: String, _ handler: BytestreamOfferHandler) {
        tables.withLock { $0.offers[applicationNamespace] = handler }
    }

    func offer(applicationNamespace: String) -> BytestreamOfferHandler? { tables.withLock { $0.offers[applicationNamespace] } }

    /// `options` nil switches SOCKS5 bytestreams off.
    func setSOCKS5(_ options: SOCKS5Options?) { tables.withLock { $0.socks5 = options } }

    /// What SOCKS5 bytestreams that peers offer may do; nil when they are not taken.
    var socks5: SOCKS5Options? { tables.withLock(\.socks5) }

    // MARK: Discovery

    func setItems(_ provider: @escaping @Sendable (JID) -> [DiscoItem]) { tables.withLock { $0.items = provider } }

    /// What that asker may see.
    func items(for asker: JID) -> [DiscoItem] { tables.withLock(\.items)?(asker) ?? [] }

    func setNode(_ node: String, _ provider: @escaping @Sendable (JID) async -> DiscoInfo?) { tables.withLock { $0.nodes[node] = provider } }

    func node(_ node: String) -> (@Sendable (JID) async -> DiscoInfo?)? { tables.withLock { $0.nodes[node] } }
}
