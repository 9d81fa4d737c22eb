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
    /// What is said to whoever tries to register where registering is not offered; nil where it is.
    let readOnlyReason: String?
    private(set) var table: DirectoryTable
    /// Where it listens, as registered in its own entry.
    private(set) var endpoints: [String] = []
    private(set) var resolver: (any NameResolver)?
    private(set) var gateway: DeviceGateway?
    /// Tunnels that devices opened to us, those included that have not authenticated yet.
    private(set) var deviceConnections: [Connection] = []

    private(set) lazy var object = makeObject(isFull: true)
    /// What a device on the other side of a tunnel sees: look up and list, nothing that registers.
    private(set) lazy var guestObject = makeObject(isFull: false)
    /// Services of this process.
    private var locals: [UInt32: LocalObject] = [:]
    /// Services of others that are reached through their registering connection.
    private var forwards: [UInt32: Forward] = [:]
    private var lookUps: [String: LookUp] = [:]
    private var nextLookUpID: UInt32 = 0x8000_0000
    /// The ids of names that a mirrored directory lists, so that listing and looking up agree.
    private var mirroredIDs: [String: UInt32] = [:]
    private var hidden: [String: (id: UInt32, service: HiddenService)] = [:]
    private var nextHiddenID: UInt32 = 0xFFFF_0000
    private(set) var connections: [ObjectIdentifier: Connection] = [:]
    /// Set once: this directory serves nobody any more.
    private var endReason: QiError?

    private enum Forward {
        case describing([(Result<RemoteObject, QiError>) -> Void])
        case ready(RemoteObject)
    }

    /// A name behind a gateway, under the id it has here. Every name string has its own (reference §19.1 d).
    private struct LookUp {
        let id: UInt32
        var service: ResolvedService
        var connections: [Connection] = []
    }

    init(bus: Bus, machineID: String, limits: ConnectionLimits = ConnectionLimits(), readOnlyReason: String? = nil) {
        self.bus = bus
        self.machineID = machineID
        self.limits = limits
        self.readOnlyReason = readOnlyReason
        table = DirectoryTable(maximumPerOwner: limits.maximumServices)
    }

    deinit { for id in locals.keys { InProcessObjects.remove(sessionID: sessionID, serviceID: id) } }

    func listening(at endpoint: String) { endpoints.append(endpoint) }

    // MARK: - Devices

    func setResolver(_ resolver: any NameResolver) { self.resolver = resolver }

    func setGateway(_ gateway: DeviceGateway) {
        self.gateway = gateway
        resolver = gateway
    }

    func requireGateway() throws(QiError) -> DeviceGateway {
        guard let gateway else {
            throw QiError(.offline, "this node has no account, so no device can be reached", hint: "add one below xmpp: in the configuration")
        }
        return gateway
    }

    func deviceConnected(_ connection: Connection) { deviceConnections.append(connection) }

    /// Ends what runs between a device and us.
    func dropDevice(_ device: String, _ error: QiError) {
        gateway?.drop(device, error)
        for connection in deviceConnections where connection.origin == .device(name: device) { connection.close(error) }
    }

    // MARK: - Connections

    func opened(_ connection: Connection) {
        connections[ObjectIdentifier(connection)] = connection
        if let endReason { connection.close(endReason) }
    }

    /// Ends every connection, and those that are about to open.
    func end(_ error: QiError) {
        endReason = error
        for connection in connections.values { connection.close(error) }
    }

    /// The calls of one device are bounded over all its tunnels.
    func mayServeCall(on connection: Connection) -> Bool {
        guard connection.origin.isDevice else { return true }
        let running = deviceConnections.reduce(0) { $1.origin == connection.origin ? $0 + $1.incomingCalls : $0 }
        return running < connection.limits.maximumCallsInFlight
    }

    func closed(_ connection: Connection, error: QiError) {
        connections[ObjectIdentifier(connection)] = nil
        deviceConnections.removeAll { $0 === connection }
        object.closed(connection)
        guestObject.closed(connection)
        for object in locals.values { object.closed(connection) }
        for name in lookUps.keys {
            lookUps[name]?.connections.removeAll { $0 === connection }
            forgetIfUnused(name)
        }
        for entry in table.removeAll(of: .connection(connection.id)) { removed(entry) }
    }

    func receiver(for address: ObjectAddress, on connection: Connection) -> (any ObjectReceiver)? {
        if address == .serviceDirectory { return connection.origin.isDevice ? guestObject : object }
        guard address.object == 1, !connection.origin.isDevice else { return nil }
        // On the local bus an id is as good as a name.
        return locals[address.service]
    }

    // MARK: - Registering

    func register(_ info: ServiceInfo, owner: DirectoryTable.Owner) throws(QiError) -> UInt32 {
        let id = try table.register(info, owner: owner)
        bus.logger.debug("service registered", metadata: [LogKeys.service: "\(info.name)", LogKeys.serviceID: "\(id)"])
        return id
    }

    /// Registers an object of this process, ready at once.
    func register(_ object: LocalObject, as name: String) throws(QiError) -> UInt32 {
        let id = try register(
            ServiceInfo(
                name: name, machineID: machineID, processID: UInt32(bitPattern: getpid()), endpoints: [], sessionID: sessionID,
                objectUID: object.uid.bytes),
            owner: .process)
        locals[id] = object
        InProcessObjects.add(object.object, sessionID: sessionID, serviceID: id)
        try ready(id, owner: .process)
        return id
    }

    func onChange(_ changed: @escaping ([String]) -> Void) {
        for signal in [WellKnownActions.serviceAdded, WellKnownActions.serviceRemoved] {
            _ = object.addSink(to: signal) { [unowned self] _, _ in changed(table.ready.map(\.info.name)) }
        }
        changed(table.ready.map(\.info.name))
    }

    func registerHidden(_ service: HiddenService) {
        hidden[service.name] = (nextHiddenID, service)
        nextHiddenID += 1
    }

    func ready(_ id: UInt32, owner: DirectoryTable.Owner) throws(QiError) {
        let info = try table.ready(id, owner: owner)
        announce(WellKnownActions.serviceAdded, id, info.name)
    }

    func unregister(_ id: UInt32, owner: DirectoryTable.Owner) throws(QiError) {
        removed(try table.unregister(id, owner: owner))
    }

    func update(_ info: ServiceInfo, owner: DirectoryTable.Owner) throws(QiError) { try table.update(info, owner: owner) }

    private func removed(_ entry: DirectoryTable.Entry) {
        let id = entry.info.serviceID
        if locals.removeValue(forKey: id) != nil { InProcessObjects.remove(sessionID: sessionID, serviceID: id) }
        switch forwards.removeValue(forKey: id) {
        case .ready(let object): object.end(QiError(.notFound, "the service was unregistered"))
        case .describing(let waiting):
            for handler in waiting {
                handler(.failure(QiError(.notFound, "Cannot find service '\(entry.info.name)' in index")))
            }
        case nil: break
        }
        for connection in connections.values { connection.unbind(service: id) }
        announce(WellKnownActions.serviceRemoved, id, entry.info.name)
    }

    private func announce(_ signal: UInt32, _ id: UInt32, _ name: String, only recipients: [Connection]? = nil) {
        var payload = ByteBuffer()
        payload.writeQiUInt32(id)
        payload.writeQiString(QiString(name))
        for object in [object, guestObject] {
            object.subscriptions.emit(signal, payload, flags: [], signature: nil, only: recipients)
        }
    }

    // MARK: - Looking up

    /// Answers service(name) for a connection, and makes the service reachable on it.
    func lookUp(_ name: String, for connection: Connection, completion: @escaping (Result<ServiceInfo, QiError>) -> Void) {
        if name == "ServiceDirectory" { return completion(.success(ownInfo(for: connection))) }
        // First, or whoever registers that name would be taken for it by those who may use it.
        if let (id, service) = hidden[name], service.mayUse(connection.origin) {
            connection.bind(service.object, at: .main(ofService: id))
            return completion(.success(answerInfo(name: name, id: id, sessionID: sessionID, uid: service.object.uid.bytes, for: connection)))
        }
        if let entry = table.find(name) { return answer(entry, for: connection, completion) }
        // No transit: what we ourselves reach through a gateway does not exist for another device.
        guard !connection.origin.isDevice, let resolver, resolver.handles(name) else {
            return completion(.failure(QiError(.notFound, "Cannot find service '\(name)' in index")))
        }
        guard (lookUps.values.count { $0.connections.contains { $0 === connection } }) < connection.limits.maximumLookUps else {
            return completion(.failure(QiError(.limit, "too many services behind gateways are in use on this connection")))
        }
        resolver.resolve(name) { [self] result in
            switch result {
            case .failure(let error): completion(.failure(error))
            case .success(let service): completion(found(name, service, for: connection))
            }
        }
    }

    private func found(_ name: String, _ service: ResolvedService, for connection: Connection) -> Result<ServiceInfo, QiError> {
        if connection.isClosed {
            // The resolver has noted the use.
            if lookUps[name] == nil { resolver?.released(name) }
            return .failure(QiError(.disconnected, "the asking connection is gone"))
        }
        if let known = lookUps[name], known.service.object !== service.object { retire(name) }
        var lookUp = lookUps[name] ?? LookUp(id: mirroredIDs[name] ?? newLookUpID(), service: service)
        lookUp.service = service
        if !lookUp.connections.contains(where: { $0 === connection }) { lookUp.connections.append(connection) }
        lookUps[name] = lookUp
        connection.bind(service.object, at: .main(ofService: lookUp.id))
        return .success(
            answerInfo(name: name, id: lookUp.id, sessionID: service.info.sessionID, uid: service.info.objectUID, for: connection))
    }

    private func newLookUpID() -> UInt32 {
        defer { nextLookUpID = nextLookUpID == 0xFFFE_FFFF ? 0x8000_0000 : nextLookUpID + 1 }
        return nextLookUpID
    }

    /// A service behind a gateway is not what it was: whoever looked it up is told, and must ask again.
    func retire(_ name: String) {
        guard let lookUp = lookUps.removeValue(forKey: name) else { return }
        for connection in lookUp.connections { connection.unbind(.main(ofService: lookUp.id)) }
        // An id means one object for ever: the name's next one is another.
        let isListed = mirroredIDs.removeValue(forKey: name) != nil
        announce(WellKnownActions.serviceRemoved, lookUp.id, name, only: isListed ? nil : lookUp.connections)
    }

    private func forgetIfUnused(_ name: String) {
        guard let lookUp = lookUps[name], lookUp.connections.isEmpty else { return }
        lookUps[name] = nil
        resolver?.released(name)
    }

    private func answer(
        _ entry: DirectoryTable.Entry, for connection: Connection, _ completion: @escaping (Result<ServiceInfo, QiError>) -> Void
    ) {
        let id = entry.info.serviceID
        if let local = locals[id] {
            connection.bind(local, at: .main(ofService: id))
            return completion(.success(throughUs(entry, for: connection)))
        }
        guard mustForward(entry, for: connection) else { return completion(.success(direct(entry, for: connection))) }
        forward(entry) { [self] result in
            switch result {
            case .failure(let error): completion(.failure(error))
            case .success(let object):
                if connection.isClosed { return completion(.failure(QiError(.disconnected, "the asking connection is gone"))) }
                connection.bind(object, at: .main(ofService: id))
                completion(.success(throughUs(entry, for: connection)))
            }
        }
    }

    /// Answers services() for a connection.
    func list(for connection: Connection, completion: @escaping (Result<[ServiceInfo], QiError>) -> Void) {
        let own = services(for: connection)
        guard let resolver, !connection.origin.isDevice else { return completion(.success(own)) }
        resolver.list { [self] result in
            completion(
                result.map { listed in
                    own
                        + listed.filter { $0.serviceID != 1 }.compactMap { info in
                            mirroredID(info.name).map { id in
                                answerInfo(
                                    name: info.name, id: id, sessionID: info.sessionID, uid: info.objectUID, for: connection)
                            }
                        }
                })
        }
    }

    /// The id under which a name there is listed here. Nil for one that crashes libqi clients (reference §28), and beyond the bound:
    /// the names are another device's.
    private func mirroredID(_ name: String) -> UInt32? {
        if let known = mirroredIDs[name] { return known }
        guard DirectoryTable.isValid(name: name), mirroredIDs.count < limits.maximumLookUps else { return nil }
        if let known = lookUps[name]?.id { return known }
        let id = newLookUpID()
        mirroredIDs[name] = id
        return id
    }

    /// A service came in the directory that this one presents.
    func mirrored(added name: String) {
        if let id = mirroredID(name) { announce(WellKnownActions.serviceAdded, id, name) }
    }

    /// A service went there; whoever looked it up was told by ``retire(_:)``.
    func mirrored(removed name: String) {
        guard let id = mirroredIDs.removeValue(forKey: name) else { return }
        announce(WellKnownActions.serviceRemoved, id, name)
    }

    /// All ready services as this connection may know them.
    func services(for connection: Connection) -> [ServiceInfo] {
        [ownInfo(for: connection)]
            + table.ready.map { entry in
                locals[entry.info.serviceID] != nil || mustForward(entry, for: connection)
                    ? throughUs(entry, for: connection) : direct(entry, for: connection)
            }
    }

    /// Whether this asker reaches the owner only through us (reference §19.1 b).
    private func mustForward(_ entry: DirectoryTable.Entry, for connection: Connection) -> Bool {
        if connection.origin.isDevice { return true }
        let absolute = entry.info.endpoints.compactMap(Endpoint.init).filter { endpoint in
            switch endpoint.kind {
            case .tcp, .tls, .unix: true
            case .relative, .other: false
            }
        }
        if absolute.contains(where: { !$0.isLoopback }) { return false }
        if absolute.isEmpty { return true }
        guard let owner = ownerConnection(entry) else { return false }
        // A neighbour that goes by another machine id (another user's home, a container) is reached on its loopback endpoints
        // only by those of the same id, and the asker's is not known.
        if owner.origin.isThisHost, entry.info.machineID != machineID { return true }
        return !owner.origin.isSameHost(as: connection.origin)
    }

    private func ownerConnection(_ entry: DirectoryTable.Entry) -> Connection? {
        guard case .connection(let id) = entry.owner else { return nil }
        return bus.connection(id)
    }

    /// The object through which others reach a service on its owner's own directory connection.
    private func forward(_ entry: DirectoryTable.Entry, completion: @escaping (Result<RemoteObject, QiError>) -> Void) {
        let id = entry.info.serviceID
        switch forwards[id] {
        case .ready(let object): return completion(.success(object))
        case .describing(let waiting):
            forwards[id] = .describing(waiting + [completion])
            return
        case nil: break
        }
        guard let owner = ownerConnection(entry), !owner.isClosed else {
            return completion(.failure(QiError(.offline, "the owner of '\(entry.info.name)' is gone")))
        }
        forwards[id] = .describing([completion])
        owner.describe(.main(ofService: id), name: entry.info.name) { [self] result in
            // Unregistered meanwhile: whoever waited was told.
            guard case .describing(let waiting) = forwards[id] else { return }
            let object = result.map {
                RemoteObject(
                    bus: bus, name: entry.info.name, connection: owner, address: .main(ofService: id), metaObject: $0)
            }
            forwards[id] = (try? object.get()).map { .ready($0) }
            for handler in waiting { handler(object) }
        }
    }
}
