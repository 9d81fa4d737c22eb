import QiWire

/// A way that connections take: what it is called, and what is asked of a connection wherever ways differ. A struct, so that a new way
/// breaks no `switch`. It says nothing of who comes by it, nor from where (``ConnectionOrigin``).
public struct PathKind: Hashable, Sendable, CustomStringConvertible {
    /// By which displays, the audit and the accounting of bytes (``PrincipalLimits/bytes``) call it: `tcp`, `in-band`. At most 64 bytes;
    /// of a longer name those.
    public let name: String
    /// The network of others that carries it, and whose limits hold for it, such as `XMPP`; nil: none.
    public let carrier: String?
    /// Where its connections come in, at a listener that says nothing else.
    let zone: Zone
    /// Whether it does not leave this machine, and the kernel vouches for that.
    let isLocal: Bool
    /// Whether the system sees to the end of a connection. Of any other way the end is awaited, which the other side has to be told.
    let closesAtOnce: Bool

    /// A way from outside this module. Who comes by it comes from the internet, and is never taken for a process of this machine.
    public init(_ name: String, carrier: String? = nil) { self.init(name, carrier, zone: .internet) }

    private init(_ name: String, _ carrier: String? = nil, zone: Zone, isLocal: Bool = false, closesAtOnce: Bool = false) {
        self.name = name.cut(toBytes: 64)
        self.carrier = carrier
        self.zone = zone
        self.isLocal = isLocal
        self.closesAtOnce = closesAtOnce
    }

    /// This process.
    public static let process = PathKind("process", zone: .internal, isLocal: true, closesAtOnce: true)
    /// A unix socket.
    public static let unix = PathKind("unix", zone: .internal, isLocal: true, closesAtOnce: true)
    /// TCP in the clear.
    public static let tcp = PathKind("tcp", zone: .internal, closesAtOnce: true)
    /// TLS over TCP.
    public static let tls = PathKind("tls", zone: .internal, closesAtOnce: true)
    /// An encrypted bytestream through an XMPP server.
    public static let inBand = PathKind("in-band", carrier: "XMPP")

    public var description: String { name }

    /// Ways of one name are one; a way from outside is never one of this machine, whatever it calls itself.
    public static func == (one: PathKind, other: PathKind) -> Bool { one.name == other.name && one.isLocal == other.isLocal }

    public func hash(into hasher: inout Hasher) { hasher.combine(name) }
}
