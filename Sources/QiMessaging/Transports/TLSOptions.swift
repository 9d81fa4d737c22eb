/// Certificates for the `tcps` and `tcpsm` endpoints of a session or a directory (wire reference §24).
///
/// - `tcps`: the listener shows its certificate. Who connects does not check it, as libqi does not, unless ``trust`` is given; without
///   ``trust`` no credentials are sent.
/// - `tcpsm`: both sides show a certificate and check the other's against ``trust``; who connects also checks the host name.
public struct TLSOptions: Sendable {
    /// Where a certificate or key comes from.
    public enum Source: Sendable, Hashable {
        /// A PEM file, read when the first TLS connection is made, and when it is told to be read again. It may hold a chain.
        case file(String)
        /// The bytes of a PEM file.
        case pem([UInt8])
        /// One certificate or key in DER.
        case der([UInt8])
    }

    /// A certificate with its chain, leaf first, and its private key.
    public struct Identity: Sendable {
        public var certificates: [Source]
        public var privateKey: Source

        public init(certificates: [Source], privateKey: Source) {
            self.certificates = certificates
            self.privateKey = privateKey
        }
    }

    /// Which certificates of peers are good.
    public enum Trust: Sendable {
        /// Those whose chain leads to one of these authorities.
        case authorities([Source])
        /// Exactly these, whoever issued them: the pinned certificate stands for the peer, so its host name is not looked at.
        case pinned([Source])
        /// Whatever certificate has one of these keys: SHA-256 of the key's SubjectPublicKeyInfo, 64 hexadecimal digits in lower case.
        /// The host name is not looked at. ``Session/keyShown(at:deadline:)`` says which key a listener has.
        case keys([String])
        /// Any, for `tcps` alone: the peer is not checked, and gets the credentials whoever it is.
        case unchecked
    }

    /// What we show: needed to listen at `tcps`, and for `tcpsm` on both sides.
    public var identity: Identity?
    /// What peers must show: needed for `tcpsm` on both sides. Given, it is also applied when connecting to `tcps`.
    public var trust: Trust?

    public init(identity: Identity? = nil, trust: Trust? = nil) {
        self.identity = identity
        self.trust = trust
    }

    /// Whether `tcpsm` can be used.
    var isMutual: Bool { identity != nil && checksPeers }

    /// Whether a peer that is not meant can be told from one that is.
    var checksPeers: Bool {
        switch trust {
        case .authorities, .pinned, .keys: true
        case .unchecked, nil: false
        }
    }
}
