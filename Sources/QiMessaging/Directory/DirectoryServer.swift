import Glibc
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

    /// Listens at `tcp://host:port` (port 0: any) or `unix:/path`. The socket file is this user's alone (0600).
    ///
    /// - Returns: the listener, whose ``Listener/endpoint`` has the real port.
    /// - Throws: `.conflict` when the address is taken, `.invalid` when it cannot be listened on.
    public func listen(at endpoint: Endpoint) async throws(QiError) -> Listener {
        let loop = self.loop
        let directory = self.directory
        let listener = try await Listener.open(at: endpoint, on: loop) { channel in
            QiPipeline.origin(of: channel).flatMapThrowing { origin in
                guard Self.mayConnect(origin) else { throw QiError(.denied, "the socket belongs to another user") }
                try SocketOptions.apply(to: channel)
                _ = try QiPipeline.install(
                    on: channel, bus: loop.bus, role: .server, origin: origin, owner: directory.value,
                    limits: directory.value.limits)
            }
        }
        try await loop.run { (_) async throws(QiError) in directory.value.listening(at: listener.endpoint.text) }
        return listener
    }

    /// A unix socket serves its own user, and root.
    private static func mayConnect(_ origin: ConnectionOrigin) -> Bool {
        guard case .unix(let uid?) = origin else { return true }
        return uid == getuid() || uid == 0
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
