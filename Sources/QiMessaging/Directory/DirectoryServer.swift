import NIOCore
public import QiWire

/// A service directory with its listeners: what a node, or a process that wants a bus of its own, runs.
public final class DirectoryServer: Sendable {
    public let loop: BusLoop
    public let machineID: String
    let directory: NIOLoopBound<ServiceDirectory>

    private init(loop: BusLoop, machineID: String, directory: NIOLoopBound<ServiceDirectory>) {
        self.loop = loop
        self.machineID = machineID
        self.directory = directory
    }

    /// A directory on `loop`, listening nowhere yet.
    ///
    /// - Parameter readOnlyReason: the error that registering answers, when this directory only presents another one.
    public static func make(
        on loop: BusLoop, machineID: String, limits: ConnectionLimits = ConnectionLimits(), readOnlyReason: String? = nil
    ) async throws(QiError) -> DirectoryServer {
        let directory = try await loop.run { (bus) async throws(QiError) in
            NIOLoopBound(
                ServiceDirectory(bus: bus, machineID: machineID, limits: limits, readOnlyReason: readOnlyReason),
                eventLoop: bus.eventLoop)
        }
        return DirectoryServer(loop: loop, machineID: machineID, directory: directory)
    }

    /// Listens at `tcp://host:port`, `tcps://host:port`, `tcpsm://host:port` (port 0: any) or `unix:/path`. The socket file is this
    /// user's alone (0600). At a wildcard host (`0.0.0.0`, `::`) its entry lists every address of this machine.
    ///
    /// - Parameters:
    ///   - tls: the certificates of a `tcps` or `tcpsm` endpoint.
    ///   - transport: what listens, for schemes that are not of this module.
    /// - Returns: the listener, whose ``Listener/endpoint`` has the real port.
    /// - Throws: `.conflict` when the address is taken, `.invalid` when it cannot be listened on.
    public func listen(
        at endpoint: Endpoint, tls: TLSOptions = TLSOptions(), transport: (any Transport)? = nil
    ) async throws(QiError) -> Listener {
        let directory = self.directory
        let limits = try await loop.run { (_) async throws(QiError) in directory.value.limits }
        let owner = try await loop.run { (bus) async throws(QiError) in
            NIOLoopBound<any ConnectionOwner>(directory.value, eventLoop: bus.eventLoop)
        }
        let transports = TransportSet(transport.map { [$0] } ?? [], tls: tls)
        let listener = try await Listener.open(
            at: endpoint, on: loop, transports: transports, owner: owner, limits: limits)
        try await loop.run { (_) async throws(QiError) in
            for endpoint in listener.endpoints { directory.value.listening(at: endpoint.text) }
        }
        return listener
    }

    /// Registers an object of this process under `name`, ready at once.
    public func register(_ object: ObjectBuilder, as name: String) async throws(QiError) -> HostedObject {
        let directory = self.directory
        return try await loop.run { (bus) async throws(QiError) in
            let local = object.makeObject(on: bus)
            let id = try directory.value.register(local, as: name)
            return HostedObject(object: local.object, serviceID: id)
        }
    }

    /// Makes an object reachable under `name` for peers on the unix socket only. It is in no listing, and everybody else is told that
    /// there is no such service.
    public func registerPrivate(_ object: ObjectBuilder, as name: String) async throws(QiError) {
        let directory = self.directory
        try await loop.run { (bus) async throws(QiError) in
            directory.value.registerHidden(
                HiddenService(name: name, object: object.makeObject(on: bus)) { origin in
                    if case .unix = origin { true } else { false }
                })
        }
    }

    /// Calls `changed` with the names of all ready services now, and again after every change. On the bus loop.
    public func onServicesChanged(_ changed: @escaping @Sendable ([String]) -> Void) {
        let directory = self.directory
        loop.submit { _ in directory.value.onChange(changed) }
    }

    /// Takes a service of this process away again.
    public func unregister(_ object: HostedObject) async throws(QiError) {
        let directory = self.directory
        try await loop.run { (_) async throws(QiError) in
            try directory.value.unregister(object.serviceID, owner: .process)
        }
    }

    /// What is registered and ready, as a peer on this machine sees it, without the directory itself.
    public func services() async throws(QiError) -> [ServiceInfo] {
        let directory = self.directory
        return try await loop.run { (_) async throws(QiError) in directory.value.table.ready.map(\.info) }
    }
}
