import NIOCore
import QiWire

/// How a session reaches the hosts of services.
extension SessionCore {
    /// What it takes to reach others and to be reached.
    struct Reach: Sendable {
        let loop: BusLoop
        let transports: TransportSet
        let limits: ConnectionLimits
    }

    var dialContext: Dialer.Context {
        Dialer.Context(
            loop: reach.loop, transports: reach.transports, owner: NIOLoopBound(self, eventLoop: bus.eventLoop), limits: reach.limits)
    }

    func makeConnectionCache() -> ConnectionCache { ConnectionCache(bus: bus) { [unowned self] in dialContext } }

    /// The connection to a service's host, shared with everything else that this session uses there.
    ///
    /// - Throws: `.offline` when none of its endpoints answers, or none is for us.
    nonisolated(nonsending) func connection(
        for info: ServiceInfo, of directory: RemoteObject, deadline: NIODeadline
    ) async throws(QiError) -> Connection {
        let choice = EndpointSelection.choose(
            for: info, machineID: machineID, directoryMachineID: directoryMachineID, directoryEndpoint: directoryEndpoint.text,
            usesMutualTLS: reach.transports.tls.isMutual)
        return try await hosts.connection(to: info, by: choice, of: directory, deadline: deadline)
    }
}

extension Session {
    func dial(_ endpoint: Endpoint) async throws(QiError) -> NIOLoopBound<Connection> {
        let core = self.core
        let context = try await loop.run { (_) async throws(QiError) in core.value.dialContext }
        return try await Dialer.connect(to: endpoint, in: context)
    }
}
