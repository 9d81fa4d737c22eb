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

    /// What is put on the channels of one endpoint.
    struct Setup: Sendable {
        let endpoint: Endpoint
        let transports: TransportSet
        let owner: NIOLoopBound<any ConnectionOwner>?
        let limits: ConnectionLimits
        /// Whom a client says it is.
        var credentials: Credentials?
        /// Which door accepted channels come in by.
        var zone = Zone.internal
        /// Whom that door lets in, and its zone; nil: everybody.
        var gate: NIOLoopBound<ListenerGate>?
    }

    /// TLS where the endpoint says so, and the protocol, on a channel that was accepted or connected at an endpoint.
    ///
    /// - Returns: fails with `.denied` for a unix socket's peer that is another user.
    static func install(
        on channel: any Channel, _ setup: Setup, bus: Bus, role: Connection.Role
    ) -> EventLoopFuture<NIOLoopBound<Connection>> {
        let bound = NIOLoopBound(bus, eventLoop: channel.eventLoop)
        return origin(of: channel, setup.endpoint).flatMapThrowing { origin in
            guard mayTalk(origin, role) else {
                throw QiError(.denied, "the process at the other end of \(setup.endpoint) belongs to another user")
            }
            guard let gate = setup.gate?.value else {
                let connection = try install(on: channel, setup, bus: bound.value, role: role, origin: origin)
                return NIOLoopBound(connection, eventLoop: channel.eventLoop)
            }
            let ticket = try gate.enter(origin, on: channel)
            do {
                let turns = gate.turnHandler(for: origin)
                if let turns { try channel.pipeline.syncOperations.addHandler(turns) }
                let connection = try install(
                    on: channel, setup, bus: bound.value, role: role, origin: origin, authenticator: gate.authenticator(for: ticket))
                gate.watch(connection, as: ticket, turns)
                return NIOLoopBound(connection, eventLoop: channel.eventLoop)
            } catch {
                gate.leave(ticket.id)
                throw error
            }
        }
    }

    private static func install(
        on channel: any Channel, _ setup: Setup, bus: Bus, role: Connection.Role, origin: ConnectionOrigin,
        authenticator: Connection.Authenticator? = nil
    ) throws -> Connection {
        try setup.transports.tls.install(on: channel, for: setup.endpoint, isServer: role == .server)
        let connection = Connection(
            bus: bus, channel: channel, role: role, origin: origin, owner: setup.owner?.value, limits: setup.limits,
            credentials: setup.credentials?.capabilities ?? Capabilities(), authenticator: authenticator)
        connection.zone = setup.gate?.value.rules.zone(of: origin.host) ?? setup.zone
        let pipeline = channel.pipeline.syncOperations
        if case .tls(let host, let port, let mutual) = setup.endpoint.kind {
            let caller = origin.host ?? host
            let place = role == .client ? (host, "\(host.contains(":") ? "[\(host)]" : host):\(port)") : (caller, caller)
            let check = setup.transports.tls.check(mutual: mutual, isServer: role == .server)
            try pipeline.addHandler(TLSIdentityHandler(connection, place: place, mutual: mutual, check: check))
        }
        try pipeline.addHandler(ConnectionHandler(connection))
        return connection
    }

    /// Who is at the other end, as the kernel says.
    private static func origin(of channel: any Channel, _ endpoint: Endpoint) -> EventLoopFuture<ConnectionOrigin> {
        let host = channel.remoteAddress?.plainHost
        switch endpoint.kind {
        case .tls(let name, _, _): return channel.eventLoop.makeSucceededFuture(.tls(host: host ?? name, fingerprint: nil))
        case .tcp(let name, _): return channel.eventLoop.makeSucceededFuture(.tcp(host: host ?? name))
        case .relative, .other: return channel.eventLoop.makeSucceededFuture(.tcp(host: host ?? endpoint.text))
        case .unix: break
        }
        guard let provider = channel as? any SocketOptionProvider else {
            return channel.eventLoop.makeSucceededFuture(.unix(uid: nil))
        }
        let credentials: EventLoopFuture<qimesh_ucred> = provider.unsafeGetSocketOption(
            level: .socket, name: NIOBSDSocket.Option(rawValue: SO_PEERCRED))
        return credentials.map { .unix(uid: $0.uid) }
    }

    /// A unix socket serves its own user, and root; root may use everybody's.
    private static func mayTalk(_ origin: ConnectionOrigin, _ role: Connection.Role) -> Bool {
        guard case .unix(let uid) = origin else { return true }
        return uid == getuid() || uid == 0 || (role == .client && getuid() == 0)
    }
}
