import Logging
import NIOCore
import QiWire

/// The inside of a gateway: follows the directory there, and reaches the services that somebody outside uses as any client inside
/// would, on connections that all those outside share. Presents nothing but what the directory lists. Confined to the bus loop.
///
/// A node's own directory has one, too, for NAOqi's beside it (``DirectoryServer/follow(_:)``): there all who use the node, inside and
/// outside, are what a gateway calls outside, and what is registered at the node is registered there in turn (``UpstreamPublisher``).
///
/// A service that is restarted comes back in another process, under another id. For those outside it is the same one when its name
/// and its metaobject are: they address its members by the numbers in the metaobject they have (wire reference §25). Else, and when
/// it does not come back in time, they are told that it is gone.
final class GatewayUpstream: DirectoryFollowing, ConnectionOwner {
    /// What errors and logs call the directory inside.
    static let name = "the directory behind the gateway"

    let bus: Bus
    /// What errors and logs call the directory.
    let name: String
    /// The directory inside.
    let endpoint: Endpoint
    let machineID: String
    /// How long a service in use that is not listed any more may take to come back.
    let returnTime: TimeAmount
    /// What those outside see.
    private(set) weak var presented: ServiceDirectory?
    private let limits: ConnectionLimits
    let follower: DirectoryFollower
    private(set) lazy var hosts = ConnectionCache(bus: bus) { [weak self] in self?.dialContext }
    let services: RemoteServices
    private let loop: BusLoop
    private let entrance: DirectoryEntrance
    /// What is registered there for services here; nil where nothing is.
    var publisher: (any UpstreamRegistering)?

    init(
        loop: BusLoop, endpoint: Endpoint, named name: String = name, entrance: DirectoryEntrance = DirectoryEntrance(),
        machineID: String, limits: ConnectionLimits, returnTime: TimeAmount, presented: ServiceDirectory
    ) {
        self.name = name
        self.entrance = entrance
        bus = loop.bus
        self.loop = loop
        self.endpoint = endpoint
        self.machineID = machineID
        self.limits = limits
        self.returnTime = returnTime
        self.presented = presented
        follower = DirectoryFollower(
            bus: bus, endpoint: endpoint, name: name, limits: limits, entrance: entrance, asksMachine: true,
            idsBelow: LookUpIDs.firstHidden)
        services = RemoteServices(
            of: follower.remote, sameBy: .interface, lookUpTime: Self.lookUpTime, pauses: (first: .milliseconds(50), most: .seconds(1)),
            concealedEnd: QiError(.notFound, "Service removed"))
        services.begin(for: self)
    }

    private var dialContext: Dialer.Context {
        Dialer.Context(
            loop: loop, transports: entrance.transports, owner: NIOLoopBound(self, eventLoop: bus.eventLoop), limits: limits,
            credentials: entrance.credentialsOfHosts)
    }

    func rank(of endpoint: Endpoint) -> Int? { entrance.rank(ofHost: endpoint) }

    /// What a caller outside is told while a service is away, whatever happened inside.
    static let away = QiError(.offline, "the service is away, and expected back: try again in a moment")
    /// How long a look-up may take: libqi gives up after 60 s (wire reference §14).
    private static let lookUpTime = TimeAmount.seconds(20)

    var servicesAway: Int { services.all.count { !$0.hasPath } }

    func begin() { follower.join(for: self) }

    func end(_ error: QiError) {
        publisher?.end(error)
        follower.end(error)
        hosts.end(error)
        services.end(error)
    }

    // MARK: - ConnectionOwner, DirectoryFollowing

    func opened(_ connection: Connection) {}

    /// What those outside passed is bound to the connection. Beside that nothing is reached on one that we opened, but what we registered
    /// there.
    func receiver(for address: ObjectAddress, on connection: Connection) -> (any ObjectReceiver)? {
        connection === follower.connection ? publisher?.receiver(for: address, on: connection) : nil
    }

    func serviceName(of id: UInt32, on connection: Connection) -> String? { publisher?.serviceName(of: id, on: connection) }

    func closed(_ connection: Connection, _ reason: CloseReason) { closed(connection) }

    func closed(_ connection: Connection) {
        // Each is told by the connection itself; but two names may have been given one id there, and then only one is.
        for service in services.all where service.object.connection === connection { service.object.detach(Self.away) }
        publisher?.released(connection)
        restoreMissing()
    }

    /// What those outside host at a gateway has the id there that it has here.
    func isOwn(_ id: UInt32) -> Bool { publisher.map { $0.hasID(id) } ?? (presented?.table.entries[id] != nil) }

    nonisolated(nonsending) func reached(_ directory: RemoteObject) async throws(QiError) {}

    func changed(_ changes: [ServiceMirror.Change], isOrderly: Bool) {
        for change in changes {
            switch change {
            case .removed(_, let name): vanished(name, isOrderly: isOrderly)
            case .added(_, let name): appeared(name)
            }
        }
    }

    func announced(_ id: UInt32) {
        if let name = follower.mirror.service(id)?.name { restoreIfMissing(name) }
    }

    func joined(on connection: Connection) {
        for service in services.all where follower.mirror.service(named: service.name) == nil { expectReturn(of: service) }
        restoreMissing()
        publisher?.joined(on: connection)
    }

    func left(_ error: QiError) {
        publisher?.left()
        // It does not know either who comes back.
        for service in services.all { service.stopExpecting() }
    }
}
