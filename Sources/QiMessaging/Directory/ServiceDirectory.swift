import Glibc
import Logging
import NIOCore
import QiWire

/// Service 1: a name gives endpoints (wire reference §12, §19). Owns the connections that its listeners and gateways
/// accept, answers for services whose owner only it can reach, and for names behind a gateway. Confined to the bus loop.
final class ServiceDirectory: ConnectionOwner {
    let bus: Bus
    let machineID: String
    let sessionID = MachineID.uuid()
    var limits: ConnectionLimits
    /// Who may do what; nil: the robot's own bus everything, devices everything but registering.
    let accessControl: AccessControl?
    var policyWatch: PolicyWatch?
    /// What is said to whoever tries to register where registering is not offered; nil where it is.
    let readOnlyReason: String?
    var table: DirectoryTable
    /// Where it listens, as registered in its own entry.
    private(set) var endpoints: [String] = []
    private(set) var resolver: (any NameResolver)?
    /// What those outside are told of where this directory is, when it is a gateway's; nil: the address they used.
    var outsideAddresses: GatewayAddresses?
    private(set) var gateway: DeviceGateway?
    /// Connections of devices to us; of tunnels those included that have not authenticated yet.
    private(set) var deviceConnections: [Connection] = []
    /// Streams that devices have opened to us.
    private(set) lazy var streams = StreamRegistry(
        limits: limits.stream(resume: .minutes(2)), on: bus.eventLoop, logger: bus.logger)

    private(set) lazy var object = makeObject(isFull: true)
    /// What is seen from outside where no policy says more: look up and list, nothing that registers.
    private(set) lazy var guestObject = makeObject(isFull: false)
    /// Says why services go.
    private(set) lazy var departures = makeDepartures()
    /// Services of this process.
    var locals: [UInt32: LocalObject] = [:]
    /// Services of others that are reached through their registering connection.
    var forwards: [UInt32: Forward] = [:]
    var lookUps: [String: LookUp] = [:]
    var lookUpNames: [UInt32: String] = [:]
    /// The ids of names that a mirrored directory lists, so that listing and looking up agree.
    var mirroredIDs: [String: UInt32] = [:]
    var hidden: [String: (id: UInt32, service: HiddenService)] = [:]
    var lookUpIDs = LookUpIDs()
    /// The connections that looked a service behind a gateway up in vain, and may wait for it, by its name.
    var expected: [String: [Connection]] = [:]
    /// What survives this process; nil where nothing does.
    var journal: JournalFile?
    /// Who in this process hears of every change, with the sinks of each.
    var observations: [ServicesObservation: [(signal: UInt32, token: UInt64)]] = [:]
    var reservations: Scheduled<Void>?
    /// Look-ups of services that were here before a restart.
    var returnWaiters: [String: [ReturnWaiter]] = [:]
    /// The directory of the whole robot, when this one is a member board's.
    var master: MasterLink?
    /// Where its services are registered beside, when it is one for hosting with a device.
    var hosting: (any ServiceHosting)?
    /// How long services of a device are kept for it when the way to it is lost; zero: not at all.
    var returnTime = TimeAmount.zero
    /// Devices whose services are kept, by the number of the connection that was lost.
    var absent: [UInt64: AbsentHost] = [:]
    /// The directory beside this one, whose services are ours too: NAOqi's.
    var upstream: (any UpstreamServices)?
    /// What this board is called, and at a master those that joined it; nil where nobody has said.
    var boards: BoardNames?
    private(set) var connections: [ObjectIdentifier: Connection] = [:]
    /// Set once: this directory serves nobody any more.
    var endReason: QiError?
    /// Why new calls are refused; nil while they are served (`ServiceDirectory+Draining`).
    var stopping: QiError?
    /// Connections that end in order, and how many of them have something to send yet.
    var departed: Set<UInt64> = []
    var departing = 0

    enum Forward {
        case describing([(Result<RemoteObject, QiError>) -> Void])
        case ready(RemoteObject)
    }

    /// A name behind a gateway, under the id it has here. Every name string has its own (reference §19.1 d).
    struct LookUp {
        let id: UInt32
        var service: ResolvedService
        var connections: [Connection] = []
    }

    init(
        bus: Bus, machineID: String, limits: ConnectionLimits = ConnectionLimits(), readOnlyReason: String? = nil,
        journal: JournalFile? = nil, accessControl: AccessControl? = nil
    ) {
        self.accessControl = accessControl
        self.bus = bus
        self.machineID = machineID
        self.limits = limits
        self.readOnlyReason = readOnlyReason
        table = DirectoryTable(maximumPerOwner: limits.maximumServices, journal: journal?.journal ?? DirectoryJournal())
        if let journal { remember(in: journal) }
        registerHidden(
            HiddenService(name: Departures.serviceName, object: departures) { !$0.isOutside && $0.access == nil })
        if let accessControl { policyWatch = PolicyWatch(accessControl, of: self) }
    }

    deinit { for id in locals.keys { InProcessObjects.remove(sessionID: sessionID, serviceID: id) } }

    func listening(at endpoint: String) { endpoints.append(endpoint) }

    /// It listens there, and nowhere else any more.
    func listens(at endpoints: [String]) { self.endpoints = endpoints }

    // MARK: - Devices

    func setResolver(_ resolver: any NameResolver) { self.resolver = resolver }

    func setGateway(_ gateway: DeviceGateway) {
        self.gateway = gateway
        resolver = gateway
    }

    func requireGateway() throws(QiError) -> DeviceGateway {
        guard let gateway else {
            throw QiError(
                .offline, "this node has no account, so no device can be reached",
                hint: "add one below xmpp: in qimesh.yaml, then send the node SIGHUP")
        }
        return gateway
    }

    func deviceConnected(_ connection: Connection) { deviceConnections.append(connection) }

    /// Ends what runs between a device and us.
    func dropDevice(_ device: String, _ error: QiError) {
        gateway?.drop(device, error)
        forgetHosted(by: device)
        for connection in deviceConnections where connection.origin.device == device { connection.close(.refused(error)) }
        streams.drop(device, error)
    }

    // MARK: - Connections

    func opened(_ connection: Connection) {
        connections[ObjectIdentifier(connection)] = connection
        if let accessControl { connection.enforce(accessControl) }
        // A rule may have refused it, and then it is closed.
        guard !connection.isClosed else { return }
        refuseCalls(on: connection)
        // By a listener, where its transport knows devices.
        if connection.origin.device != nil, !deviceConnections.contains(where: { $0 === connection }) { deviceConnected(connection) }
        forgetEarlierProcess(of: connection)
        if let endReason { connection.close(.stopped(endReason)) }
        // Its listener may outlive the loop's work for a moment.
        if bus.isShutDown { connection.close(.stopped(QiError(.disconnected, "this directory has ended"))) }
    }

    /// Ends every connection, and those that are about to open.
    func end(_ error: QiError) {
        endReason = error
        for connection in connections.values { connection.close(.stopped(error)) }
    }

    /// The calls of one device are bounded over all its tunnels.
    func mayServeCall(on connection: Connection) -> Bool {
        guard let device = connection.origin.device else { return true }
        let running = deviceConnections.reduce(0) { $1.origin.device == device ? $0 + $1.incomingCalls : $0 }
        return running < connection.limits.maximumCallsInFlight
    }

    func closed(_ connection: Connection, _ reason: CloseReason) {
        connections[ObjectIdentifier(connection)] = nil
        deviceConnections.removeAll { $0 === connection }
        boards?.closed(connection)
        object.closed(connection)
        guestObject.closed(connection)
        for object in locals.values { object.closed(connection) }
        for name in lookUps.keys {
            lookUps[name]?.connections.removeAll { $0 === connection }
            forgetIfUnused(name)
        }
        stopWaiting(on: connection)
        stopExpecting(on: connection)
        left(connection, reason)
    }

    func receiver(for address: ObjectAddress, on connection: Connection) -> (any ObjectReceiver)? {
        if address == .serviceDirectory { return object(for: connection) }
        guard address.object == 1, !connection.isOutside else { return nil }
        // On the local bus an id is as good as a name.
        return locals[address.service] ?? forwarder(for: address, on: connection)
    }
}
