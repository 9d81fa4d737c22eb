/// Where a connection came in, which is who its peer is to us. Taken from the authenticated transport, never from what the
/// peer says.
public enum ConnectionOrigin: Hashable, Sendable, CustomStringConvertible {
    /// A unix socket; the user id of the peer process, when the kernel told it.
    case unix(uid: UInt32?)
    /// TCP; the peer's address without its port.
    case tcp(host: String)
    /// A tunnel from another device, whose key and name were proven inside it.
    case device(name: String)
    /// This process.
    case process

    public var description: String {
        switch self {
        case .unix(let uid): uid.map { "unix, user \($0)" } ?? "unix"
        case .tcp(let host): "tcp \(host)"
        case .device(let name): "device \(name)"
        case .process: "process"
        }
    }
}
