/// How a connection came, from where, and who its peer has proven to be to what carries it: three things, none of which follows from
/// another. Taken from the authenticated transport, never from what the peer says.
public struct ConnectionOrigin: Hashable, Sendable, CustomStringConvertible {
    /// How it came.
    public let path: PathKind
    /// The peer's address without its port; nil where the way has none.
    public let host: String?
    /// Who the peer has proven to be; nil: it has proven nothing.
    public internal(set) var identity: Principal.Identity?

    /// - Parameter identity: what the transport vouches for. By default the peer is anonymous.
    public init(by path: PathKind, from host: String? = nil, proven identity: Principal.Identity? = nil) {
        self.path = path
        self.host = host
        self.identity = identity
    }

    /// A unix socket; the user id of the peer process, when the kernel told it.
    public static func unix(uid: UInt32?) -> Self { Self(by: .unix, proven: .process(uid: uid)) }

    /// TCP; the peer's address without its port.
    public static func tcp(host: String) -> Self { Self(by: .tcp, from: host) }

    /// TLS over TCP; the peer's address without its port, and on `tcpsm` who the peer has proven to be: the SHA-256 of its
    /// certificate's public key (SubjectPublicKeyInfo), 64 hexadecimal digits. nil where the peer showed nothing.
    public static func tls(host: String, fingerprint: String?) -> Self {
        Self(by: .tls, from: host, proven: fingerprint.map { .certificate($0) })
    }

    /// A tunnel from another device, whose key and name were proven inside it.
    public static func device(name: String, by path: PathKind = .inBand) -> Self { Self(by: path, proven: .device(name)) }

    /// This process.
    public static let process = Self(by: .process, proven: .process(uid: nil))

    /// `unix, user 1000`, `tcp 10.0.0.7`, `tls 10.0.0.7, key 9f3c…`, `device op@lab.example`; of a device by another way than in-band
    /// that, too.
    public var description: String {
        let way = host.map { "\(path) \($0)" } ?? path.name
        return switch identity {
        case .device(let name): "device \(name)" + (path == .inBand ? "" : ", \(way)")
        case .process(let uid?): "\(way), user \(uid)"
        case .certificate(let key): "\(way), key \(key)"
        case .user, .app: "\(way), \(identity?.description ?? "")"
        case .process(nil), .host, nil: way
        }
    }

    // MARK: - What is asked of it

    /// The bare JID of the far end, if that is another device.
    var device: String? { if case .device(let jid) = identity { jid } else { nil } }

    /// The key of the certificate that the peer has shown (``tls(host:fingerprint:)``).
    var key: String? { if case .certificate(let key) = identity { key } else { nil } }

    /// The user of the peer's process, as the kernel says.
    var user: UInt32? { if path.isLocal, case .process(let uid) = identity { uid } else { nil } }

    /// The scheme of the endpoints by which one comes so.
    var scheme: String { path == .tls ? (key == nil ? "tcps" : "tcpsm") : path.name }

    /// Where the peer comes in, at a listener that says nothing else. Another device is outside, whatever way it takes.
    var zone: Zone { device == nil ? path.zone : .internet }

    /// Whether the peer is a process of this machine, for which the kernel vouches.
    var isNeighbour: Bool { path.isLocal && device == nil }

    /// Whether the peer is on the machine of this process, as far as its way and its address tell.
    var isThisHost: Bool { device == nil && (path.isLocal || host.map(Endpoint.isLoopback(host:)) ?? false) }

    /// Whether two peers are on one host as far as their ways and addresses tell.
    func isSameHost(as other: ConnectionOrigin) -> Bool {
        guard device == nil, other.device == nil else { return false }
        if isThisHost, other.isThisHost { return true }
        guard let host, let other = other.host else { return false }
        return host == other
    }
}
