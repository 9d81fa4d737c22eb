/// Where a connection came in, which is who its peer is to us. Taken from the authenticated transport, never from what the
/// peer says.
public enum ConnectionOrigin: Hashable, Sendable, CustomStringConvertible {
    /// A unix socket; the user id of the peer process, when the kernel told it.
    case unix(uid: UInt32?)
    /// TCP; the peer's address without its port.
    case tcp(host: String)
    /// TLS over TCP; the peer's address without its port, and on `tcpsm` who the peer has proven to be: the SHA-256 of its
    /// certificate's public key (SubjectPublicKeyInfo), 64 hexadecimal digits. nil where the peer showed nothing.
    case tls(host: String, fingerprint: String?)
    /// A tunnel from another device, whose key and name were proven inside it.
    case device(name: String)
    /// This process.
    case process

    public var description: String {
        switch self {
        case .unix(let uid): uid.map { "unix, user \($0)" } ?? "unix"
        case .tcp(let host): "tcp \(host)"
        case .tls(let host, let fingerprint): "tls \(host)" + (fingerprint.map { ", key \($0)" } ?? "")
        case .device(let name): "device \(name)"
        case .process: "process"
        }
    }

    /// The peer's address, when it has one.
    var host: String? {
        switch self {
        case .tcp(let host), .tls(let host, _): host
        case .unix, .device, .process: nil
        }
    }
}
