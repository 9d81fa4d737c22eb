/// The transports of one session or directory: those of this module, and what it was given beside.
struct TransportSet: Sendable {
    private let others: [any Transport]
    /// How this module's own sockets are opened.
    var sockets = SocketTransport()
    let tls: TLSLayer

    init(_ others: [any Transport] = [], tls: TLSOptions = TLSOptions()) { self.init(others, tls: TLSLayer(tls)) }

    init(_ others: [any Transport], tls: TLSLayer) {
        self.others = others
        self.tls = tls
    }

    private var all: [any Transport] { others + [sockets] }

    /// The first that serves its scheme.
    private func first(for endpoint: Endpoint) -> (any Transport)? {
        let scheme = endpoint.scheme
        return all.first { $0.schemes.contains(scheme) }
    }

    /// - Throws: `.unsupported` when none serves its scheme.
    func transport(for endpoint: Endpoint) throws(QiError) -> any Transport {
        if let transport = first(for: endpoint) { return transport }
        let schemes = all.flatMap(\.schemes).map { $0 + ":" }
        throw QiError(.unsupported, "no transport for \(endpoint)", hint: "use \(schemes.joined(separator: ", "))")
    }

    /// As ``Transport/rank(of:)``; nil too where no transport serves its scheme, and without a certificate for `tcpsm`.
    func rank(of endpoint: Endpoint) -> Int? {
        if case .tls(_, _, mutual: true) = endpoint.kind, !tls.isMutual { return nil }
        return first(for: endpoint)?.rank(of: endpoint)
    }
}
