import NIOCore

extension Listener {
    /// Listens at `endpoint` and serves the qi protocol to everybody who connects, as connections of `owner`.
    static func open(
        at endpoint: Endpoint, on loop: BusLoop, transports: TransportSet, owner: NIOLoopBound<any ConnectionOwner>,
        limits: ConnectionLimits, zone: Zone? = nil, gate: NIOLoopBound<ListenerGate>? = nil
    ) async throws(QiError) -> Listener {
        // Now, and not at the first connection, is the time to say that a certificate is missing.
        try transports.tls.prepare(for: endpoint, isServer: true)
        var transports = transports
        transports.sockets = SocketTransport(logger: loop.logger) { gate?.value.makeRoom() }
        let setup = QiPipeline.Setup(endpoint: endpoint, transports: transports, owner: owner, limits: limits, zone: zone, gate: gate)
        return try await open(at: endpoint, on: loop, transport: transports.transport(for: endpoint)) { channel in
            QiPipeline.install(on: channel, setup, bus: loop.bus, role: .server).map { _ in }
        }
    }
}
