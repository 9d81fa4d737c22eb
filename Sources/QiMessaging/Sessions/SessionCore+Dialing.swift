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
        switch choice {
        case .directoryConnection:
            guard let shared = directory.connection else { throw directory.lostError }
            return shared
        case .dial(let endpoints):
            if endpoints.isEmpty {
                throw QiError(
                    .offline, "no reachable endpoint for \(info.name): its directory lists \(info.endpoints)",
                    hint: "the service listens on another machine's loopback; start it with an address of its network")
            }
            return try await hosts.connection(to: endpoints, on: info.machineID, deadline: deadline)
        }
    }
}

extension Session {
    func dial(_ endpoint: Endpoint) async throws(QiError) -> NIOLoopBound<Connection> {
        let core = self.core
        let context = try await loop.run { (_) async throws(QiError) in core.value.dialContext }
        return try await Dialer.connect(to: endpoint, in: context)
    }
}
