import QiMessaging

extension MeshConfiguration {
    /// An existing directory of libqi's, NAOqi's as a rule, whose services are this device's.
    public struct NAOqi: Hashable, Sendable {
        /// `tcp://host:port` or `tcps://host:port`.
        public var address: String
        /// Who we are there; `nil`: it is not asked for.
        public var user: String?
        /// The absolute path of the file whose first line is the token, mode 0600.
        public var tokenFile: String?
        /// The key it has to show; `nil`: that of ``certificate``, else the one that `qimesh` commands have pinned for the address.
        public var fingerprint: KeyFingerprint?
        /// The absolute path of a PEM file with the certificate it has to show.
        public var certificate: String?
        /// The services that are registered at this node and found there, as patterns; `nil`: those of programs on this machine and the
        /// robot's own network.
        public var publish: [String]?
        /// How long a service in use may take to come back, 1 s to 1 h.
        public var returnTime = Duration.seconds(60)

        /// A directory that asks for nothing.
        public init(address: String) { self.address = address }

        /// Its endpoint; `nil` for an address that the file could not hold.
        var endpoint: Endpoint? { Endpoint(address) }
    }
}

extension MeshConfiguration.NAOqi: Decodable {
    enum CodingKeys: String, CodingKey, CaseIterable {
        case address, user
        case tokenFile = "token-file"
        case fingerprint, certificate, publish
        case returnTime = "return-time"
    }

    private static let longestName = 255
    private static let maximumPatterns = 256

    /// Decodes `device.naoqi`: an address, or a mapping.
    public init(from decoder: any Decoder) throws {
        if let text = try? decoder.singleValueContainer().decode(String.self) {
            guard let address = Self.address(text) else {
                throw DecodingError.dataCorrupted(
                    .init(
                        codingPath: decoder.codingPath, debugDescription: Self.complaint(text),
                        underlyingError: ConfigurationMistake(message: Self.complaint(text))))
            }
            self.init(address: address)
            return
        }
        let container = try decoder.strictContainer(
            CodingKeys.self,
            advice: [
                "token": "tokens are not kept in the configuration: put it into a file and name that as token-file",
                "password": "tokens are not kept in the configuration: put it into a file and name that as token-file",
                "trust": "what it has to show is given as fingerprint: SHA256:… or certificate: FILE",
            ])
        guard let text = try container.text(.address, limit: 300) else { throw container.wrong(nil, "naoqi needs an address") }
        guard let address = Self.address(text) else { throw container.wrong(.address, Self.complaint(text)) }
        self.init(address: address)
        user = try container.text(.user, limit: Credentials.maximumLength)
        tokenFile = try container.path(.tokenFile)
        guard (user == nil) == (tokenFile == nil) else {
            throw container.wrong(user == nil ? .tokenFile : .user, "user and token-file have to be given both, or neither")
        }
        certificate = try container.path(.certificate)
        if let text = try container.text(.fingerprint, limit: 300) {
            guard let key = KeyFingerprint(text) else { throw container.wrong(.fingerprint, "\"\(text)\" is not of the form SHA256:…") }
            guard certificate == nil else { throw container.wrong(.fingerprint, "fingerprint and certificate cannot be given both") }
            fingerprint = key
        }
        try checkShown(container)
        try readPublished(container)
        if let text = try container.text(.returnTime, limit: 32) {
            guard let time = Quantity.duration(text), time >= .seconds(1), time <= .seconds(3_600) else {
                throw container.wrong(.returnTime, "\"\(text)\" is not a time between 1s and 1h, such as 60s")
            }
            returnTime = time
        }
    }

    private func checkShown(_ container: StrictContainer<CodingKeys>) throws {
        guard case .tcp? = endpoint?.kind else { return }
        if fingerprint != nil { throw container.wrong(.fingerprint, "nothing is shown at \(address): use tcps://HOST:PORT") }
        if certificate != nil { throw container.wrong(.certificate, "nothing is shown at \(address): use tcps://HOST:PORT") }
        if user != nil, endpoint?.isLoopback == false {
            throw container.wrong(
                .user, "on \"\(address)\" nothing is encrypted, and a token would be readable on the way: use tcps://HOST:PORT")
        }
    }

    private mutating func readPublished(_ container: StrictContainer<CodingKeys>) throws {
        publish = try container.decodeIfPresent([String].self, forKey: .publish)
        guard (publish?.count ?? 0) <= Self.maximumPatterns else {
            throw container.wrong(.publish, "there are more than \(Self.maximumPatterns) patterns in this list")
        }
        for (index, pattern) in (publish ?? []).enumerated() where !(1...Self.longestName).contains(pattern.utf8.count) {
            throw container.wrong(.publish, index: index, "\"\(pattern)\" is no name of a service, nor a pattern such as AL*")
        }
    }

    /// `tcp` and `tcps` alone: a directory that asks for a certificate of its clients is no NAOqi's.
    private static func address(_ text: String) -> String? {
        guard text.utf8.count <= 300, let endpoint = Endpoint.typed(text) else { return nil }
        switch endpoint.kind {
        case .tcp(_, let port), .tls(_, let port, mutual: false): return port > 0 && !endpoint.isWildcard ? endpoint.text : nil
        case .tls, .unix, .relative, .other: return nil
        }
    }

    private static func complaint(_ text: String) -> String {
        "\"\(text)\" must name host and port of a directory, NAOqi's for example: tcp://127.0.0.1:9559, or tcps://HOST:9503"
    }
}

extension MeshConfiguration.NAOqi {
    /// What the node follows.
    ///
    /// - Parameter door: who may come in where services that are registered here are reached.
    /// - Throws: `configuration` for a token or certificate that cannot be read, or can be by other users, and where a token would go to
    ///   whatever answers.
    func upstream(paths: MeshPaths, door: DirectoryServer.Door?) throws(MeshError) -> UpstreamDirectory {
        guard let endpoint else { throw MeshError(.configuration, "device.naoqi: \"\(address)\" is no address of a directory") }
        var upstream = UpstreamDirectory(endpoint: endpoint)
        if let user, let tokenFile { upstream.credentials = Credentials(user: user, token: try Login.token(in: tokenFile)) }
        upstream.tls = TLSOptions(trust: try trust(paths))
        upstream.returnTime = returnTime
        upstream.published = publish.map { $0.map { NameGlob($0) } }
        upstream.door = door
        return upstream
    }

    private func trust(_ paths: MeshPaths) throws(MeshError) -> TLSOptions.Trust? {
        guard case .tls? = endpoint?.kind else { return nil }
        if let fingerprint { return .keys([fingerprint.hexadecimal]) }
        if let certificate { return .pinned([.pem(try Login.certificate(in: certificate))]) }
        if let key = try KnownDoors(file: paths.knownDoorFile).key(of: address) { return .keys([key.hexadecimal]) }
        guard let user, let tokenFile else { return nil }
        throw MeshError(
            .configuration, "device.naoqi: no key is known for \(address), so the token would go to whatever answers there",
            hint: "qimesh ls --url \(word: address) --user \(word: user) --token-file \(word: tokenFile)")
    }
}

extension MeshConfiguration {
    /// Checks that the node does not listen where `device.naoqi` is: it would follow itself.
    ///
    /// - Throws: `configuration`.
    func checkNAOqi(paths: MeshPaths) throws(MeshError) {
        guard let naoqi = device.naoqi, case .tcp(let host, let port)? = naoqi.endpoint?.kind else { return }
        let isHere = naoqi.endpoint?.isLoopback == true || Endpoint.isOfThisMachine(host: host)
        for url in listeners(paths: paths) {
            guard let own = Endpoint(url), case .tcp(let ownHost, port: port) = own.kind else { continue }
            guard ownHost == host || isHere && (own.isWildcard || own.isLoopback && naoqi.endpoint?.isLoopback == true) else { continue }
            throw MeshError(
                .configuration, "the directory of device.naoqi and this node's own have one address, \(naoqi.address)",
                hint: "let this one listen elsewhere: internal.listen in the configuration")
        }
    }
}
