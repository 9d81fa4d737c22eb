/// How a directory elsewhere is come in at, and the hosts of its services.
struct DirectoryEntrance: Sendable {
    /// How it and its hosts are dialled, and what they have to show.
    var transports = TransportSet()
    /// Who we say we are; nil: it is not asked for.
    var credentials: Credentials?

    init() {}

    /// - Throws: `.invalid` where the token could be read on the way to `endpoint`, or where nothing says who gets it.
    init(to endpoint: Endpoint, tls: TLSOptions, credentials: Credentials?) throws(QiError) {
        var options = Session.Options()
        options.tls = tls
        options.credentials = credentials
        try options.checkCredentials(for: endpoint)
        transports = TransportSet([], tls: tls)
        try transports.tls.prepare(for: endpoint, isServer: false)
        self.credentials = credentials
    }

    /// What is shown to the hosts of its services, which want the login of their directory.
    var credentialsOfHosts: Credentials? { credentials }

    /// How near a host's endpoint is; nil for one that cannot be dialled, and for one that would get the token without having shown what
    /// the directory shows: whatever is registered there names its endpoints itself.
    func rank(ofHost endpoint: Endpoint) -> Int? {
        if credentials != nil {
            guard case .tls = endpoint.kind else { return nil }
        }
        return transports.rank(of: endpoint)
    }
}
