import NIOCore
public import QiWire
import Synchronization

/// A service directory with its listeners: what a node, or a process that wants a bus of its own, runs.
public final class DirectoryServer: Sendable {
    public let loop: BusLoop
    public let machineID: String
    private let stops = Atomic<Bool>(false)
    let directory: NIOLoopBound<ServiceDirectory>
    /// Who may do what here; nil: whoever connects everything, devices everything but registering.
    public let access: AccessControl?

    private init(loop: BusLoop, machineID: String, directory: NIOLoopBound<ServiceDirectory>, access: AccessControl?) {
        self.access = access
        self.loop = loop
        self.machineID = machineID
        self.directory = directory
    }

    /// A directory on `loop`, listening nowhere yet.
    ///
    /// - Parameters:
    ///   - journal: the file that names and ids survive in when this process ends, however it ends; made if there is none. The
    ///     services of before are kept for their owners for 30 s.
    ///   - readOnlyReason: the error that registering answers, when this directory only presents another one.
    ///   - access: who may do what; nil: whoever connects here everything, devices everything but registering.
    /// - Throws: `.conflict` when another process uses the journal, `.invalid` when it cannot be opened.
    public static func make(
        on loop: BusLoop, machineID: String, limits: ConnectionLimits = ConnectionLimits(), journal: String? = nil,
        readOnlyReason: String? = nil, access: AccessControl? = nil
    ) async throws(QiError) -> DirectoryServer {
        let directory = try await loop.run { (bus) async throws(QiError) in
            var file: JournalFile?
            if let journal { file = try JournalFile(journal, logger: bus.logger) }
            return NIOLoopBound(
                ServiceDirectory(
                    bus: bus, machineID: machineID, limits: limits, readOnlyReason: readOnlyReason, journal: file, accessControl: access),
                eventLoop: bus.eventLoop)
        }
        return DirectoryServer(loop: loop, machineID: machineID, directory: directory, access: access)
    }

    /// Refuses new calls from now on, waits until those in work are answered, and ends every connection from outside behind its last answer;
    /// or gives up after `time`. Final: nothing makes it serve again. What is registered now is what will be awaited after the next start. To be called before its loop is shut
    /// down; any number of callers may wait.
    public func drain(within time: Duration) async { await drain(within: time, "this node") }

    /// Whether ``drain(within:)`` was called: nobody new is let in.
    public var isStopping: Bool { stops.load(ordering: .relaxed) }

    /// - Parameter what: what stops, for those who are refused.
    func drain(within time: Duration, _ what: String) async {
        stops.store(true, ordering: .relaxed)
        let (directory, deadline) = (self.directory, NIODeadline.now() + TimeAmount(time))
        let reason = QiError.stopping(what)
        await loop.perform { (_) in await directory.value.drain(until: deadline, refusing: reason) }
    }

    /// Lets go of the journal: what is registered now is what will be awaited after the next start. For the end of a node; whoever
    /// only ends its process need not call it.
    public func closeJournal() async throws(QiError) {
        let directory = self.directory
        try await loop.run { (_) async throws(QiError) in directory.value.closeJournal() }
    }

    /// Listens at `tcp://host:port`, `tcps://host:port`, `tcpsm://host:port` (port 0: any) or `unix:/path`. The socket file is this
    /// user's alone (0600). At a wildcard host (`0.0.0.0`, `::`) its entry lists every address of this machine.
    ///
    /// - Parameters:
    ///   - tls: the certificates of a `tcps` or `tcpsm` endpoint.
    ///   - transport: what listens, for schemes that are not of this module.
    ///   - zone: which door it is; nil: ``Zone/internal`` for sockets, ``Zone/internet`` for a transport that is not of this module.
    ///     Through one to the outside every service is reached on the client's own connection.
    /// - Returns: the listener, whose ``Listener/endpoint`` has the real port.
    /// - Throws: `.conflict` when the address is taken, `.invalid` when it cannot be listened on.
    public func listen(
        at endpoint: Endpoint, tls: TLSOptions = TLSOptions(), transport: (any Transport)? = nil, zone: Zone? = nil
    ) async throws(QiError) -> Listener {
        let transports = TransportSet(transport.map { [$0] } ?? [], tls: tls)
        let usual = try transports.transport(for: endpoint).path(at: endpoint).zone
        return try await listen(at: endpoint, transports, zone: zone ?? usual, gate: nil)
    }

    /// What listeners of one door have in common: who may come in, and how many.
    public struct Door: Sendable {
        let gate: NIOLoopBound<ListenerGate>
        let zone: Zone
    }

    /// A door of the robot's own bus.
    ///
    /// - Parameters:
    ///   - networks: which addresses to let in, beside those of this machine; nil: all.
    ///   - users: which users of this machine to let in by TCP; nil: all. A unix socket lets in its own user and root, whatever this says.
    public func internalDoor(networks: [IPNetwork]? = nil, users: LocalUsers? = nil) async throws(QiError) -> Door {
        var rules = ListenerRules(zone: .internal)
        rules.networks = networks
        rules.users = users
        rules.limits = .internal
        rules.audit = access
        return Door(gate: try await gate(rules), zone: .internal)
    }

    /// Changes which addresses `door` lets in, beside those of this machine; nil: all. Whoever is in already stays.
    package func setNetworks(_ networks: [IPNetwork]?, of door: Door) {
        let gate = door.gate
        loop.submit { _ in gate.value.networks = networks }
    }

    /// Has the directory tell the addresses of these listeners, as they are now, and no others. For whoever opens and closes listeners
    /// while it runs.
    package func tell(_ listeners: [Listener]) {
        let directory = self.directory
        let endpoints = listeners.flatMap { $0.endpoints.map(\.text) }
        loop.submit { _ in directory.value.listens(at: endpoints) }
    }

    /// Listens at `tcp://host:port` or `unix:/path`, as ``listen(at:tls:transport:zone:)``, for those whom `door` lets in.
    public func listen(at endpoint: Endpoint, door: Door) async throws(QiError) -> Listener {
        // Its peers are of one user, whose own socket must not be taken from him.
        let gate = endpoint.isUnix ? nil : door.gate
        return try await listen(at: endpoint, TransportSet(), zone: door.zone, gate: gate)
    }

    func gate(_ rules: ListenerRules) async throws(QiError) -> NIOLoopBound<ListenerGate> {
        let limits = rules.limits.fitting(descriptors: Descriptors.limit)
        return try await loop.run { (bus) async throws(QiError) in
            var rules = rules
            rules.limits = limits
            return NIOLoopBound(ListenerGate(bus: bus, rules), eventLoop: bus.eventLoop)
        }
    }

    func listen(
        at endpoint: Endpoint, _ transports: TransportSet, zone: Zone, gate: NIOLoopBound<ListenerGate>?
    ) async throws(QiError) -> Listener {
        let directory = self.directory
        let limits = try await loop.run { (_) async throws(QiError) in directory.value.limits }
        let owner = try await loop.run { (bus) async throws(QiError) in
            NIOLoopBound<any ConnectionOwner>(directory.value, eventLoop: bus.eventLoop)
        }
        let listener = try await Listener.open(
            at: endpoint, on: loop, transports: transports, owner: owner, limits: limits, zone: zone, gate: gate)
        if zone.isOutside { return listener }
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
            let id = try await directory.value.register(local, as: name)
            return HostedObject(object: local.object, serviceID: id)
        }
    }

    /// Makes an object reachable under `name` for peers on the unix socket only. It is in no listing, and everybody else is told that
    /// there is no such service.
    public func registerPrivate(_ object: ObjectBuilder, as name: String) async throws(QiError) {
        let directory = self.directory
        try await loop.run { (bus) async throws(QiError) in
            directory.value.registerHidden(
                HiddenService(name: name, object: object.makeObject(on: bus)) { $0.origin.path == .unix && $0.origin.isNeighbour })
        }
    }

    /// Calls `changed` with the names of all ready services now, and again after every change, until ``stopObserving(_:)``.
    /// On the bus loop.
    public func onServicesChanged(_ changed: @escaping @Sendable ([String]) -> Void) -> ServicesObservation {
        let directory = self.directory
        let observation = ServicesObservation()
        loop.submit { _ in directory.value.onChange(observation, changed) }
        return observation
    }

    /// Ends what ``onServicesChanged(_:)`` began; the closure is released.
    public func stopObserving(_ observation: ServicesObservation) {
        let directory = self.directory
        loop.submit { _ in directory.value.stopObserving(observation) }
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

/// A closure that hears which services there are; see ``DirectoryServer/onServicesChanged(_:)``.
public struct ServicesObservation: Hashable, Sendable {
    private static let last = Atomic<UInt64>(0)
    private let number = ServicesObservation.last.add(1, ordering: .relaxed).newValue
}

/// Several computers of one robot.
extension DirectoryServer {
    /// Makes this the directory of a member board: its services are registered with the master at `endpoint`, which gives the ids,
    /// and what the master lists is found here. Call it before anything is registered. Returns at once; the master may come later, and
    /// go and come back.
    public func join(master endpoint: Endpoint) async throws(QiError) {
        let directory = self.directory
        try await loop.run { (bus) async throws(QiError) in
            let link = MasterLink(bus: bus, endpoint: endpoint, directory: directory.value)
            directory.value.master = link
            link.join()
        }
    }

    /// As ``join(master:)`` for a gateway, whose ``GatewayUpstream`` follows the same directory and says how that stands. Nothing is
    /// connected before the link is told to join.
    func prepareToJoin(behind endpoint: Endpoint) async throws(QiError) {
        let directory = self.directory
        try await loop.run { (bus) async throws(QiError) in
            directory.value.master = MasterLink(
                bus: bus, endpoint: endpoint, directory: directory.value, name: GatewayUpstream.name, isTold: false)
        }
    }

    /// Names this board, for whoever lists the robot's services: a member tells its master, a master the members.
    ///
    /// - Parameter name: 1 to 64 bytes; a master takes no longer one of a member.
    public func nameBoard(_ name: String) async throws(QiError) {
        let directory = self.directory
        try await loop.run { (_) async throws(QiError) in directory.value.nameBoard(name) }
    }

    /// What the robot's boards are called, by machine id: this one, and those that are joined now. Asks the master for at most 2 s.
    public func boardNames() async throws(QiError) -> [String: String] {
        let directory = self.directory
        return try await loop.run { (_) async throws(QiError) in
            let known = directory.value.boards?.all ?? [:]
            return await directory.value.master?.boardNames(or: known) ?? known
        }
    }

    /// Why the master of this member board cannot be used now; nil while it can, and where there is none.
    public func masterTrouble() async throws(QiError) -> QiError? {
        let directory = self.directory
        return try await loop.run { (_) async throws(QiError) in directory.value.master?.away }
    }
}
