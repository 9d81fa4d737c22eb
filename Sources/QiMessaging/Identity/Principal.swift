/// Who is at the other end of a connection: what the transport and the authentication have proven, and the zone it came in by.
/// Never what a peer merely says of itself.
public struct Principal: Hashable, Sendable, CustomStringConvertible {
    /// Who somebody has proven to be.
    public enum Identity: Hashable, Sendable {
        /// A process of this machine; the user id when the kernel told it.
        case process(uid: UInt32?)
        /// Somebody at this address who has proven nothing.
        case host(String)
        /// The holder of a private key: the SHA-256 of its public key (SubjectPublicKeyInfo), 64 hexadecimal digits in lower case.
        case certificate(String)
        /// Whoever knows the token of this user name.
        case user(String)
        /// A remote application, by the user name of its session id (`qimesh app`).
        case app(String)
        /// Another device, by its prepared bare JID in lower case.
        case device(String)

        /// Whether it was proven by a secret, and not only seen by the system or an address.
        var isAuthenticated: Bool {
            switch self {
            case .certificate, .user, .app, .device: true
            case .process, .host: false
            }
        }
    }

    public var zone: Zone
    public var identity: Identity
    /// The key a device was recognised by, as in ``Identity/certificate(_:)``, where it is known.
    public var fingerprint: String?

    public init(_ identity: Identity, zone: Zone, fingerprint: String? = nil) {
        self.identity = identity
        self.zone = zone
        self.fingerprint = fingerprint
    }

    /// Who is on a connection.
    ///
    /// - Parameter proven: what credentials or a trust store have proven beyond the origin, such as a user name.
    public init(_ origin: ConnectionOrigin, zone: Zone, proven: Identity? = nil) {
        let identity = proven ?? origin.identity ?? .host(origin.host ?? origin.path.name)
        self.init(identity, zone: zone, fingerprint: origin.key)
    }

    /// The bare JID, of a device.
    public var jid: String? { if case .device(let jid) = identity { jid } else { nil } }

    /// As policies and messages call it: `op@lab.example`, `app:choregraphe`, `user:nao`, `cert:9f3c…`, `host:10.0.0.7`, `uid:1000`.
    public var description: String { identity.description }
}

extension Principal.Identity: CustomStringConvertible {
    public var description: String {
        switch self {
        case .process(let uid): uid.map { "uid:\($0)" } ?? "process"
        case .host(let host): "host:\(host)"
        case .certificate(let fingerprint): "cert:\(fingerprint)"
        case .user(let name): "user:\(name)"
        case .app(let name): "app:\(name)"
        case .device(let jid): jid
        }
    }
}
