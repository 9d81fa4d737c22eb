import NIOCore
import QiWire

/// The state of a session: its directory connection, the connections to services, and the objects it hosts. Confined to
/// the bus loop.
final class SessionCore: ConnectionOwner {
    let bus: Bus
    let machineID: String
    let sessionID = MachineID.uuid()
    let directoryEndpoint: Endpoint
    let remote: RemoteDirectory
    /// What is in use of the directory's services.
    let services: RemoteServices
    /// Services of this process, as long as somebody uses them.
    var localProxies: [String: WeakHandle] = [:]
    struct WeakHandle { weak var handle: ProxyHandle? }
    /// Whether services of this process are called directly.
    let callsInProcess: Bool
    /// What it takes to reach others and to be reached.
    let reach: Reach
    private(set) lazy var hosts = makeConnectionCache()
    /// What this session hosts, by the id it has now.
    var hosted: [UInt32: LocalObject] = [:]
    var registrations: [Registration] = []
    /// Ids that services of this session had before.
    var moved: [UInt32: MovedService] = [:]
    /// What the directory was told of them.
    var hostedInfos: [UInt32: ServiceInfo] = [:]
    var listeners: [Listener] = []
    var endpointCheck: Scheduled<Void>?
    private(set) var connections: [ObjectIdentifier: Connection] = [:]
    /// The directory's, those to hosts and those of clients.
    var connectionCount: Int { connections.count }
    let gap: Session.Gap
    let states = SessionStates()
    var isEnded = false

    init(
        bus: Bus, machineID: String, directoryEndpoint: Endpoint, callsInProcess: Bool, reach: Reach, gap: Session.Gap
    ) {
        self.callsInProcess = callsInProcess
        self.bus = bus
        self.machineID = machineID
        self.directoryEndpoint = directoryEndpoint
        self.reach = reach
        self.gap = gap
        remote = RemoteDirectory(
            bus: bus,
            options: .init(
                name: "ServiceDirectory", reason: QiError(.disconnected, "the session is not connected"), listensToArrivals: false,
                asksMachine: true,
                explain: {
                    QiError(
                        .disconnected, "the directory at \(directoryEndpoint) is away: \($0.message)",
                        hint: "the session comes back by itself: try again", cause: $0)
                }))
        services = RemoteServices(
            of: remote, sameBy: .object, lookUpTime: .seconds(10), pauses: (first: .milliseconds(250), most: .seconds(5)))
        remote.begin(for: self)
        services.begin(for: self)
    }

    deinit { for id in hosted.keys { InProcessObjects.remove(sessionID: sessionID, serviceID: id) } }

    // MARK: - ConnectionOwner

    func opened(_ connection: Connection) { connections[ObjectIdentifier(connection)] = connection }

    func closed(_ connection: Connection, _ reason: CloseReason) {
        let error = reason.error
        connections[ObjectIdentifier(connection)] = nil
        for object in hosted.values { object.closed(connection) }
        for service in services.all where service.path == ObjectIdentifier(connection) && !service.isThroughDirectory {
            services.giveUp(service.name, error)
        }
        if remote.closed(connection, error) { directoryLost(error) }
    }

    func receiver(for address: ObjectAddress, on connection: Connection) -> (any ObjectReceiver)? {
        guard address.object == 1 else { return nil }
        if let service = hosted[address.service] { return service }
        return moved[address.service]
    }

    // MARK: - Looking up (§11.2, §19)

    nonisolated(nonsending) func listedServices(deadline: NIODeadline) async throws(QiError) -> [ServiceInfo] {
        try await requireDirectory(until: deadline).listedServices(until: deadline)
    }

    /// The service when it lives in this process.
    private func local(_ info: ServiceInfo) -> ServicePath? {
        guard callsInProcess, let object = InProcessObjects.find(info) else { return nil }
        if let known = localProxies[info.name]?.handle, case .local(let same) = known.target, same === object { return .local(known) }
        let handle = ProxyHandle(.local(object), members: object.members, name: info.name, uid: object.uid, isValue: false)
        localProxies[info.name] = WeakHandle(handle: handle)
        return .local(handle)
    }

    /// The session was closed: nothing is called through it any more.
    func endLocalProxies(_ error: QiError) {
        for proxy in localProxies.values { proxy.handle?.endLocal(error) }
        localProxies = [:]
        for id in hosted.keys { InProcessObjects.remove(sessionID: sessionID, serviceID: id) }
    }

    /// The proxy of a service; looked up and connected once, then shared.
    nonisolated(nonsending) func service(_ name: String, deadline: NIODeadline) async throws(QiError) -> ServicePath {
        if let known = services[name], known.hasPath { return .remote(known.object) }
        let directory = try await requireDirectory(until: deadline)
        if name == "ServiceDirectory" { return .remote(directory) }
        let question = remote.removedMeanwhile.asked()
        defer { remote.removedMeanwhile.answered(question) }
        let info = try await info(of: name, until: deadline)
        if let local = local(info) { return local }
        if remote.removedMeanwhile.contains(info.serviceID, since: question) {
            throw QiError(.notFound, "no service \"\(name)\": it was removed just now")
        }
        return .remote(try await services.find(name, told: info, until: deadline).object)
    }

    /// The directory, when it can be used now; of a session that waits in gaps, also when it can be by `deadline`.
    nonisolated(nonsending) func requireDirectory(until deadline: NIODeadline) async throws(QiError) -> RemoteObject {
        guard let directory = remote.object else { throw QiError(.disconnected, "the session is not connected") }
        if directory.connection == nil, gap == .wait { try await directory.attached(until: deadline) }
        guard let directory = remote.object, directory.connection != nil else { throw directory.lostError }
        return directory
    }
}
