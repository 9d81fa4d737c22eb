public import QiMessaging

extension MeshConfiguration {
    /// The public door: one address for the directory and all services.
    public struct Gateway: Hashable, Sendable {
        /// `tcps://host:port`, `tcpsm://host:port`, and `tcp://host:port` where ``allowsPlain`` is set; at least one.
        public var listen: [String] = []
        /// What clients are told instead of the address they used: where the door is seen from outside.
        public var advertise: [String] = []
        /// The absolute path of a PEM file, leaf first; `nil`: one of our own making.
        public var certificate: String?
        /// The absolute path of the certificate's key, PEM.
        public var key: String?
        /// The absolute path of a PEM file with the authorities that issue the certificates of `tcpsm` clients.
        public var trust: String?
        /// A directory that is served instead of our own.
        public var naoqi: String?
        /// Whether `tcp://` may be listened at.
        public var allowsPlain = false
        /// Whether somebody may come in who presents neither user and token nor a certificate. The policy says what such a one may do.
        public var admitsAnonymous = false
        /// The absolute path of the file with the users' hashed tokens; `nil`: ``MeshPaths/userFile``.
        public var users: String?
        /// The zone of those who come in; `nil`: `lan` for addresses of local networks, else `internet`.
        public var zone: Zone?
        /// Whether `qimesh up` runs it; else `qimesh gateway` does, as a process of its own.
        public var isSeparate = false
        /// How long a service in use may take to come back, 1 s to 1 h.
        public var returnTime = Duration.seconds(60)
        /// Connections at once, over all and from one address, 1 to 65 536.
        public var connections = 1024
        public var connectionsPerAddress = 256

        /// A door at `listen`, with everything else as in a file that says no more.
        public init(listen: [String]) { self.listen = listen }
    }
}

extension MeshConfiguration.Gateway: Decodable {
    enum CodingKeys: String, CodingKey, CaseIterable {
        case listen, advertise, certificate, key, trust, naoqi
        case allowsPlain = "allow-plain"
        case admitsAnonymous = "anonymous"
        case users, zone
        case isSeparate = "separate"
        case returnTime = "return-time"
        case connections
        case connectionsPerAddress = "connections-per-address"
    }

    /// Decodes the section `gateway`.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.strictContainer(
            CodingKeys.self,
            advice: [
                "insecure": "say what is insecure: allow-plain: true lets it listen at tcp://, anonymous: true lets everybody in",
                "auth": "users and tokens are always asked for, unless anonymous: true lets everybody in",
            ])
        allowsPlain = try container.decodeIfPresent(Bool.self, forKey: .allowsPlain) ?? allowsPlain
        admitsAnonymous = try container.decodeIfPresent(Bool.self, forKey: .admitsAnonymous) ?? admitsAnonymous
        isSeparate = try container.decodeIfPresent(Bool.self, forKey: .isSeparate) ?? isSeparate
        certificate = try container.path(.certificate)
        key = try container.path(.key)
        trust = try container.path(.trust)
        users = try container.path(.users)
        guard (certificate == nil) == (key == nil) else {
            throw container.wrong(key == nil ? .certificate : .key, "certificate and key have to be given both, or neither")
        }
        listen = try endpoints(.listen, in: container)
        guard !listen.isEmpty else { throw container.wrong(nil, "a gateway needs an address: listen: [\"tcps://0.0.0.0:9503\"]") }
        advertise = try endpoints(.advertise, in: container)
        naoqi = try container.text(.naoqi, limit: 300).map { Endpoint.typed($0)?.text ?? $0 }
        if let naoqi {
            guard case .tcp(_, let port)? = Endpoint(naoqi)?.kind, port > 0 else {
                throw container.wrong(.naoqi, "\"\(naoqi)\" must name host and port of a NAOqi directory: tcp://HOST:PORT")
            }
        }
        if let text = try container.text(.zone, limit: 16) {
            guard let zone = Zone(rawValue: text), zone.isOutside else {
                throw container.wrong(.zone, "\"\(text)\" is not lan or internet; without this line the peer's address decides")
            }
            self.zone = zone
        }
        if let text = try container.text(.returnTime, limit: 32) {
            guard let time = Quantity.duration(text), time >= .seconds(1), time <= .seconds(3_600) else {
                throw container.wrong(.returnTime, "\"\(text)\" is not a time between 1s and 1h, such as 60s")
            }
            returnTime = time
        }
        connections = try count(.connections, in: container) ?? connections
        connectionsPerAddress = try count(.connectionsPerAddress, in: container) ?? min(connectionsPerAddress, connections)
    }

    private func count(_ key: CodingKeys, in container: StrictContainer<CodingKeys>) throws -> Int? {
        guard let count = try container.decodeIfPresent(Int.self, forKey: key) else { return nil }
        guard (1...65_536).contains(count) else { throw container.wrong(key, "\(count) is not between 1 and 65536") }
        return count
    }

    private func endpoints(_ key: CodingKeys, in container: StrictContainer<CodingKeys>) throws -> [String] {
        let texts = try container.decodeIfPresent([String].self, forKey: key) ?? []
        for (index, text) in texts.enumerated() {
            if let complaint = complaint(about: text, key) { throw container.wrong(key, index: index, complaint) }
        }
        return texts.map { Endpoint.typed($0)?.text ?? $0 }
    }

    private func complaint(about text: String, _ key: CodingKeys) -> String? {
        // Without a scheme it would mean tcp.
        guard text.contains("://"), let endpoint = Endpoint.typed(text) else { return "\"\(text)\" must name host and port: tcps://HOST:PORT" }
        switch endpoint.kind {
        case .tcp where !allowsPlain:
            return "nothing on \"\(text)\" is encrypted; use tcps://HOST:PORT, or say allow-plain: true"
        case .tls(_, _, mutual: true) where key == .listen && trust == nil:
            return "\"\(text)\" needs to know which certificates are good: trust: FILE"
        case .tcp(_, let port), .tls(_, let port, _):
            guard key == .advertise else { return nil }
            if endpoint.isLoopback || port == 0 || endpoint.isWildcard { return "\"\(text)\" leads nobody outside here" }
            return nil
        case .unix, .relative, .other: return "\"\(text)\" is neither tcps://HOST:PORT nor tcpsm://HOST:PORT"
        }
    }
}
