import CQiSystem
import Glibc
import NIOCore
import QiWire

/// Puts the qi protocol on a channel, whatever is below it: a socket, TLS, or a bytestream.
enum QiPipeline {
    /// The last handler of `channel`, and its connection. On the bus loop, which has to be the channel's.
    static func install(
        on channel: any Channel, bus: Bus, role: Connection.Role, origin: ConnectionOrigin, owner: (any ConnectionOwner)?,
        limits: ConnectionLimits, credentials: Capabilities = Capabilities(), authenticator: Connection.Authenticator? = nil
    ) throws -> Connection {
        let connection = Connection(
            bus: bus, channel: channel, role: role, origin: origin, owner: owner, limits: limits, credentials: credentials,
            authenticator: authenticator)
        try channel.pipeline.syncOperations.addHandler(ConnectionHandler(connection))
        return connection
    }

    /// Who is at the other end of an accepted socket, as the kernel says.
    static func origin(of channel: any Channel) -> EventLoopFuture<ConnectionOrigin> {
        if channel.localAddress?.ipAddress != nil {
            return channel.eventLoop.makeSucceededFuture(.tcp(host: channel.remoteAddress?.ipAddress ?? "unknown"))
        }
        guard let provider = channel as? any SocketOptionProvider else {
            return channel.eventLoop.makeSucceededFuture(.unix(uid: nil))
        }
        let credentials: EventLoopFuture<qimesh_ucred> = provider.unsafeGetSocketOption(
            level: .socket, name: NIOBSDSocket.Option(rawValue: SO_PEERCRED))
        return credentials.map { .unix(uid: $0.uid) }
    }
}
