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
        /// Which door accepted channels come in by; nil: that of the way they take.
        var zone: Zone?
        /// Whom that door lets in, and its zone; nil: everybody.
        var gate: NIOLoopBound<ListenerGate>?
    }

    /// TLS where the endpoint says so, and the protocol, on a channel that was accepted or connected at an endpoint.
    ///
    /// - Returns: fails with `.denied` for a peer that the transport, or the gate, does not let in.
    static func install(
        on channel: any Channel, _ setup: Setup, bus: Bus, role: Connection.Role
    ) -> EventLoopFuture<NIOLoopBound<Connection>> {
        let bound = NIOLoopBound(bus, eventLoop: channel.eventLoop)
        let transport: any Transport
        do throws(QiError) {
            transport = try setup.transports.transport(for: setup.endpoint)
        } catch {
            return channel.eventLoop.makeFailedFuture(error)
        }
        return transport.origin(of: channel, at: setup.endpoint, isServer: role == .server).flatMapThrowing { origin in
            guard !origin.path.isLocal || transport is SocketTransport else {
                throw QiError(.denied, "\(setup.endpoint.scheme) cannot vouch for processes of this machine: sockets of the system can")
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
        connection.zone = setup.gate?.value.rules.zone(of: origin.host) ?? setup.zone ?? connection.zone
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
}
