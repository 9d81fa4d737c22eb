/// The transports of one session or directory: those of this module, and what it was given beside.
struct TransportSet: Sendable {
    private let others: [any Transport]
    let tls: TLSLayer

    init(_ others: [any Transport] = [], tls: TLSOptions = TLSOptions()) { self.init(others, tls: TLSLayer(tls)) }

    init(_ others: [any Transport], tls: TLSLayer) {
        self.others = others
        self.tls = tls
    }

    /// - Parameter sockets: how this module's own sockets are opened.
    func transport(for endpoint: Endpoint, sockets: SocketTransport = SocketTransport()) throws(QiError) -> any Transport {
        let scheme = endpoint.scheme
        if let own = others.first(where: { $0.schemes.contains(scheme) }) { return own }
        guard sockets.schemes.contains(scheme) else {
            throw QiError(
                .unsupported, "no transport for \(endpoint)", hint: "use \(sockets.schemes.map { $0 + ":" }.joined(separator: ", "))")
        }
        return sockets
    }
}
