/// The transports of one session or directory: those of this module, and what it was given beside.
struct TransportSet: Sendable {
    private let others: [any Transport]
    let tls: TLSLayer

    init(_ others: [any Transport] = [], tls: TLSOptions = TLSOptions()) {
        self.others = others
        self.tls = TLSLayer(tls)
    }

    func transport(for endpoint: Endpoint) throws(QiError) -> any Transport {
        let scheme = endpoint.scheme
        if let own = others.first(where: { $0.schemes.contains(scheme) }) { return own }
        let sockets = SocketTransport()
        guard sockets.schemes.contains(scheme) else {
            throw QiError(
                .unsupported, "no transport for \(endpoint)", hint: "use \(sockets.schemes.map { $0 + ":" }.joined(separator: ", "))")
        }
        return sockets
    }
}
