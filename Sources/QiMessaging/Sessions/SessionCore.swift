import NIOCore
import QiWire

/// The state of a session: its directory connection, the connections to services, and the objects it hosts. Confined to
/// the bus loop.
final class SessionCore: ConnectionOwner {
    let bus: Bus
    let machineID: String
    let sessionID = MachineID.uuid()
    let directoryEndpoint: Endpoint
    private(set) var directory: RemoteObject?
    private(set) var directoryMachineID = ""
    /// Services of this process, as long as somebody uses them.
    var localProxies: [String: WeakHandle] = [:]
    struct WeakHandle { weak var handle: ProxyHandle? }
    /// Whether services of this process are called directly.
    let callsInProcess: Bool
    /// What is in use of the directory's services, by name.
    var proxies: [String: TrackedService] = [:]
    /// Ids of services that were removed while some were being found: what was learned of them is void.
    private var removedWhileFinding: Set<UInt32> = []
    private var findsRunning = 0
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
    /// Not weak: a connection that anybody knows weakly is counted slowly, with every call.
    private(set) var directoryConnection: Connection?
    private(set) var connections: [ObjectIdentifier: Connection] = [:]
    /// The directory's, those to hosts and those of clients.
    var connectionCount: Int { connections.count }
    let gap: Session.Gap
    let states = SessionStates()
    /// The first connection was complete: from now on a loss is made up for.
    private(set) var isEstablished = false
    var isReconnecting = false
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
    }

    deinit { for id in hosted.keys { InProcessObjects.remove(sessionID: sessionID, serviceID: id) } }

    // MARK: - ConnectionOwner

    func opened(_ connection: Connection) { connections[ObjectIdentifier(connection)] = connection }

    func closed(_ connection: Connection, _ reason: CloseReason) {
        let error = reason.error
        connections[ObjectIdentifier(connection)] = nil
        for object in hosted.values { object.closed(connection) }
        for (name, tracked) in proxies where tracked.object.connection == nil && !tracked.isThroughDirectory {
            proxies[name] = nil
            tracked.object.end(error)
        }
        guard connection === directoryConnection else { return }
        directoryConnection = nil
        directoryLost(error)
    }

    func receiver(for address: ObjectAddress, on connection: Connection) -> (any ObjectReceiver)? {
        guard address.object == 1 else { return nil }
        if let service = hosted[address.service] { return service }
        return moved[address.service]
    }

    // MARK: - Connecting (wire reference §11.1)

    /// Takes the authenticated connection to the directory: describes it, listens to it, and learns its machine id.
    nonisolated(nonsending) func begin(on connection: Connection) async throws(QiError) {
        directoryConnection = connection
        // Asked together, for each question would cost its way there and back.
        let machine = connection.ask(ActionAddress(.serviceDirectory, action: WellKnownActions.machineID))
        let link = directory == nil ? connection.newLink() : nil
        let removals = link.map { link in
            connection.ask(
                ActionAddress(.serviceDirectory, action: WellKnownActions.registerEvent),
                RemoteObject.linkPayload(.serviceDirectory, WellKnownActions.serviceRemoved, link))
        }
        let metaObject = try await connection.metaObject(of: .serviceDirectory, name: "ServiceDirectory")
        if let failure = await removals?.answer().failure(of: "ServiceDirectory") { throw failure }
        try await attachDirectory(on: connection, metaObject, link)
        switch await machine.answer() {
        case .reply(let payload, let flags):
            do throws(WireError) {
                directoryMachineID = try payload.value(of: .string, flags: flags).asString ?? ""
            } catch {
                throw QiError(.invalid, "the directory's machine id cannot be read: \(error.message)")
            }
        case let answer: throw answer.failure(of: "ServiceDirectory") ?? QiError(.invalid, "the directory did not say where it is")
        }
        isEstablished = true
    }

    /// One object stands for the directory on every connection there is in turn, or each event would come once per object.
    ///
    /// - Parameter link: under which the directory tells us already of services that are removed.
    private nonisolated(nonsending) func attachDirectory(
        on connection: Connection, _ metaObject: MetaObject, _ link: UInt64?
    ) async throws(QiError) {
        if let known = directory, known.metaObject == metaObject {
            known.attach(to: connection, at: .serviceDirectory)
            for signal in known.subscriptions.signals { try await known.confirmSubscription(to: signal) }
            return
        }
        directory?.end(QiError(.notFound, "the directory is another than before", hint: "ask the session for it again"))
        let directory = RemoteObject(
            bus: bus, name: "ServiceDirectory", connection: connection, address: .serviceDirectory, metaObject: metaObject)
        directory.waitsInGap = gap == .wait
        self.directory = directory
        if let link { directory.subscribed(to: WellKnownActions.serviceRemoved, by: link) }
        try await directory.confirmedListen(to: WellKnownActions.serviceRemoved) { [weak self] payload, _, _ in
            guard let (id, name) = payload.idAndName else { return }
            self?.removed(id, name)
        }
    }

    private func removed(_ id: UInt32, _ name: String) {
        if findsRunning > 0, removedWhileFinding.count < 65_536 { removedWhileFinding.insert(id) }
        let error = QiError(.notFound, "Service removed")
        proxies.removeValue(forKey: name)?.object.end(error)
        localProxies.removeValue(forKey: name)?.handle?.endLocal(error)
    }

    // MARK: - Looking up (§11.2, §19)

    nonisolated(nonsending) func services(deadline: NIODeadline) async throws(QiError) -> [ServiceInfo] {
        let value = try await requireDirectory(until: deadline).value(of: WellKnownActions.services, [], deadline: deadline)
        do throws(WireError) {
            return try ServiceInfo.list(value)
        } catch {
            throw QiError(.invalid, "the directory's list cannot be read: \(error.message)")
        }
    }

    nonisolated(nonsending) func info(of name: String, deadline: NIODeadline) async throws(QiError) -> ServiceInfo {
        let value: QiValue
        do throws(QiError) {
            value = try await requireDirectory(until: deadline).value(of: WellKnownActions.service, [.string(name)], deadline: deadline)
        } catch {
            if error.code == .notFound {
                throw QiError(.notFound, "no service \"\(name)\": \(error.message)")
            }
            throw error
        }
        do {
            return try ServiceInfo(qiValue: value)
        } catch {
            throw QiError(.invalid, "what the directory says of \"\(name)\" cannot be read: \(error.message)")
        }
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
        if let known = proxies[name]?.object, known.connection != nil { return .remote(known) }
        let directory = try await requireDirectory(until: deadline)
        if name == "ServiceDirectory" { return .remote(directory) }
        findsRunning += 1
        defer {
            findsRunning -= 1
            if findsRunning == 0 { removedWhileFinding = [] }
        }
        let info = try await info(of: name, deadline: deadline)
        if let local = local(info) { return local }
        let connection = try await connection(for: info, of: directory, deadline: deadline)
        let address = ObjectAddress.main(ofService: info.serviceID)
        let metaObject = try await connection.metaObject(of: address, name: name)
        if removedWhileFinding.contains(info.serviceID) { throw QiError(.notFound, "no service \"\(name)\": it was removed just now") }
        // Somebody else may have asked for the same name meanwhile.
        if let known = proxies[name]?.object, known.connection != nil { return .remote(known) }
        if let known = proxies[name] {
            // Its path was lost with the directory, and it was not compared yet.
            if known.isThroughDirectory, connection === directoryConnection, info.isSame(as: known.info), known.object.metaObject == metaObject {
                known.object.attach(to: connection, at: address)
                return .remote(known.object)
            }
            known.object.end(QiError(.notFound, "\(name) is another service than before", hint: "look it up again"))
        }
        let object = RemoteObject(bus: bus, name: name, connection: connection, address: address, metaObject: metaObject)
        object.waitsInGap = gap == .wait
        proxies[name] = TrackedService(object: object, info: info, isThroughDirectory: connection === directoryConnection)
        return .remote(object)
    }

    /// The directory, when it can be used now; of a session that waits in gaps, also when it can be by `deadline`.
    nonisolated(nonsending) func requireDirectory(until deadline: NIODeadline) async throws(QiError) -> RemoteObject {
        guard let directory else { throw QiError(.disconnected, "the session is not connected") }
        if directory.connection == nil, gap == .wait { try await directory.attached(until: deadline) }
        guard let directory = self.directory, directory.connection != nil else { throw directory.lostError }
        return directory
    }
}

extension Connection {
    nonisolated(nonsending) func metaObject(
        of address: ObjectAddress, name: String, deadline: NIODeadline = .now() + .seconds(10)
    ) async throws(QiError) -> MetaObject {
        let result: Result<MetaObject, QiError> = await withUnsafeContinuation { continuation in
            describe(address, name: name, deadline: deadline) { continuation.resume(returning: $0) }
        }
        return try result.get()
    }
}

extension RemoteObject {
    /// Calls a method by id, with arguments of its types, on the loop.
    nonisolated(nonsending) func value(
        of action: UInt32, _ arguments: [QiValue], deadline: NIODeadline, for caller: RelayedCaller? = nil
    ) async throws(QiError) -> QiValue {
        guard let method = members.method(action) else { throw QiError(.notFound, "\(name) has no method #\(action)") }
        var payload = ByteBuffer()
        do throws(WireError) {
            let tuple = QiValue.tuple(arguments)
            let converted = try tuple.converted(from: tuple.inferredType, to: method.parameters.type)
            try payload.writeQi(converted, as: method.parameters.type)
        } catch {
            throw QiError(.invalid, "the arguments of \(name).\(method.meta.name) cannot be sent: \(error.message)")
        }
        let answer: CallAnswer = await withUnsafeContinuation { continuation in
            call(action, payload, deadline: deadline, for: caller) { continuation.resume(returning: $0) }
        }
        guard case .reply(let payload, let flags) = answer else {
            throw answer.failure(of: name) ?? QiError(.invalid, "\(name) did not answer")
        }
        do {
            return try payload.value(of: method.returns.type, flags: flags)
        } catch {
            throw QiError(.invalid, "the result of \(name).\(method.meta.name) cannot be read: \(error.message)")
        }
    }

    /// Returns when the owner has confirmed that it sends a signal to us.
    nonisolated(nonsending) func confirmSubscription(to signal: UInt32) async throws(QiError) {
        let failure: QiError? = await withUnsafeContinuation { continuation in
            subscribeUpstream(signal) { continuation.resume(returning: $0) }
        }
        if let failure { throw failure }
    }

    /// Listens to a signal, and returns when the owner has confirmed.
    nonisolated(nonsending) func confirmedListen(
        to signal: UInt32, _ sink: @escaping SubscriptionTable.LocalSink
    ) async throws(QiError) {
        let failure: QiError? = await withUnsafeContinuation { continuation in
            _ = listen(to: signal, confirmed: { continuation.resume(returning: $0) }, sink)
        }
        if let failure { throw failure }
    }
}
