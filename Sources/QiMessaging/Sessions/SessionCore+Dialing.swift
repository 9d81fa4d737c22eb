import NIOCore
import QiWire

/// How a session reaches the hosts of services.
extension SessionCore {
    /// What it takes to reach others and to be reached.
    struct Reach: Sendable {
        let loop: BusLoop
        let transports: TransportSet
        let limits: ConnectionLimits
        /// For the directory.
        let credentials: Credentials?
    }

    private var dialContext: Dialer.Context {
        Dialer.Context(
            loop: reach.loop, transports: reach.transports, owner: NIOLoopBound(self, eventLoop: bus.eventLoop), limits: reach.limits)
    }

    /// The directory alone learns who we say we are; hosts of services do not.
    var directoryContext: Dialer.Context {
        var context = dialContext
        context.credentials = reach.credentials
        return context
    }

    func makeConnectionCache() -> ConnectionCache { ConnectionCache(bus: bus) { [weak self] in self?.dialContext } }

    /// The connection to a service's host, shared with everything else that this session uses there.
    ///
    /// - Throws: `.offline` when none of its endpoints answers, or none is for us.
    nonisolated(nonsending) func connection(
        for info: ServiceInfo, of directory: RemoteObject, deadline: NIODeadline
    ) async throws(QiError) -> Connection {
        let choice = EndpointSelection.choose(
            for: info, machineID: machineID, directoryMachineID: remote.machineID, directoryEndpoint: directoryEndpoint.text,
            rank: reach.transports.rank(of:))
        return try await hosts.connection(to: info, by: choice, of: directory, deadline: deadline)
    }
}

extension Session {
    func dialDirectory() async throws(QiError) -> NIOLoopBound<Connection> {
        let core = self.core
        let (endpoint, context) = try await loop.run { (_) async throws(QiError) in
            (core.value.directoryEndpoint, core.value.directoryContext)
        }
        return try await Dialer.connect(to: endpoint, in: context)
    }
}
