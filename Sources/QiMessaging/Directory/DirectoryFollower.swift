import Logging
import NIOCore
import QiWire

/// What a ``DirectoryFollower`` is for: whoever uses the services of the followed directory. Confined to the bus loop.
protocol DirectoryFollowing: AnyObject {
    /// Whether a service there is one of ours: it is not mirrored.
    func isOwn(_ id: UInt32) -> Bool
    /// The directory was reached again, and its list comes next. Throwing ends the connection; it is tried again.
    nonisolated(nonsending) func reached(_ directory: RemoteObject) async throws(QiError)
    /// What the directory lists is not what it was.
    ///
    /// - Parameter isOrderly: whether what was removed was unregistered, and not lost.
    func changed(_ changes: [ServiceMirror.Change], isOrderly: Bool)
    /// The directory has announced a service, which may be one that it listed all the time.
    func announced(_ id: UInt32)
    /// The directory can be used, and its list is known.
    func joined(on connection: Connection)
    /// It cannot any more.
    func left(_ error: QiError)
    /// What the directory's process may call on the connection that we opened.
    func receiver(for address: ObjectAddress, on connection: Connection) -> (any ObjectReceiver)?
    func closed(_ connection: Connection)
}

/// Follows a directory elsewhere: mirrors what it lists, hears what comes and goes there, and connects again after every loss. What it
/// has learned it keeps while that directory is away. Confined to the bus loop.
final class DirectoryFollower: ConnectionOwner {
    let bus: Bus
    let endpoint: Endpoint
    /// What errors and logs call the directory: `the master directory`.
    let name: String
    /// Whether the log says that it went or came; not where another follower of the same directory says it.
    private let isTold: Bool
    private let limits: ConnectionLimits
    /// Weak: the user may end while an answer is awaited here, and then nothing is followed any more.
    private weak var user: (any DirectoryFollowing)?
    private(set) var mirror = ServiceMirror()
    /// The directory, on every connection there is in turn.
    private(set) var directory: RemoteObject?
    /// What says why services go, where the directory has it.
    private(set) var departures: RemoteObject?
    /// Why the directory cannot be used now; nil while it can.
    private(set) var away: QiError?
    private var waiting: [UInt64: UnsafeContinuation<Void, Never>] = [:]
    private var nextWaiter: UInt64 = 0
    /// Services that are being looked up because the directory announced them.
    private var arriving: Set<UInt32> = []
    /// Questions for one service that wait for an answer, and what was removed meanwhile: what they learn of it is void.
    private var questions = 0
    private var removedWhileAsking: Set<UInt32> = []
    private var isEnded = false

    /// How long one attempt to connect may take: a node that stops waits for it.
    private static let dialTime = TimeAmount.seconds(3)

    init(bus: Bus, endpoint: Endpoint, name: String, limits: ConnectionLimits, isTold: Bool = true) {
        self.bus = bus
        self.endpoint = endpoint
        self.name = name
        self.isTold = isTold
        self.limits = limits
        away = QiError(.offline, "\(name) at \(endpoint) has not answered yet")
    }

    var connection: Connection? { away == nil ? directory?.connection : nil }

    // MARK: - ConnectionOwner

    func opened(_ connection: Connection) {}

    func receiver(for address: ObjectAddress, on connection: Connection) -> (any ObjectReceiver)? {
        address == .serviceDirectory ? nil : user?.receiver(for: address, on: connection)
    }

    func closed(_ connection: Connection, _ reason: CloseReason) {
        user?.closed(connection)
        guard away == nil, directory?.connection == nil || directory?.connection === connection else { return }
        let error = QiError(.offline, "\(name) at \(endpoint) is away: \(reason.error.message)")
        away = error
        arriving = []
        user?.left(error)
        guard !isEnded else { return }
        bus.logger.log(level: isTold ? .warning : .debug, "directory lost", metadata: logged(error))
        connectUntilReached()
    }

    // MARK: - Joining

    /// Connects to the directory, now and after every loss, for as long as `user` lives.
    func join(for user: any DirectoryFollowing) {
        self.user = user
        connectUntilReached()
    }

    private func connectUntilReached() {
        bus.enqueue { [self] in
            var backoff = Backoff(first: .milliseconds(100), most: .seconds(5))
            var reason = ""
            while !bus.isShutDown, !isEnded, user != nil {
                do throws(QiError) {
                    return try await connect()
                } catch {
                    away = QiError(.offline, "\(name) at \(endpoint) is away: \(error.message)")
                    // Said once, however often it is tried.
                    let isNews = isTold && error.message != reason && !isEnded
                    bus.logger.log(
                        level: isNews ? .warning : .debug, "a directory is not reached, and is tried again", metadata: logged(error))
                    reason = error.message
                    await bus.pause(backoff.next(after: error))
                }
            }
            wakeWaiting()
        }
    }

    /// Follows no more.
    func end(_ error: QiError) {
        isEnded = true
        directory?.connection?.close(.stopped(error))
        directory?.end(error)
        departures?.end(error)
        wakeWaiting()
    }

    private static let unused = QiError(.disconnected, "nothing uses this directory any more")

    private nonisolated(nonsending) func connect() async throws(QiError) {
        guard let loop = bus.loop else { throw QiError(.disconnected, "this node is stopping") }
        let owner = NIOLoopBound<any ConnectionOwner>(self, eventLoop: bus.eventLoop)
        let context = Dialer.Context(
            loop: loop, transports: TransportSet([], tls: TLSOptions()), owner: owner, limits: limits)
        let connection = try await Dialer.connect(to: endpoint, in: context, timeout: Self.dialTime).value
        do throws(QiError) {
            let directory = try await describe(on: connection)
            try await describeDepartures(of: directory, on: connection)
            let list = try await directory.value(of: WellKnownActions.services, [], deadline: .now() + .seconds(10))
            guard let user else { throw Self.unused }
            try await user.reached(directory)
            user.changed(mirror.listed(try others(in: list)), isOrderly: false)
            guard directory.connection === connection, !isEnded else { throw directory.lostError }
            away = nil
            forgetMissingLater(on: connection)
            user.joined(on: connection)
        } catch {
            connection.close(.setUpFailed(error))
            throw error
        }
        bus.logger.log(level: isTold ? .info : .debug, "directory joined", metadata: logged())
        wakeWaiting()
    }

    private nonisolated(nonsending) func describe(on connection: Connection) async throws(QiError) -> RemoteObject {
        let metaObject = try await connection.metaObject(of: .serviceDirectory, name: name)
        if let known = directory, known.metaObject == metaObject {
            known.attach(to: connection, at: .serviceDirectory)
            for signal in [WellKnownActions.serviceRemoved, WellKnownActions.serviceAdded] {
                try await known.confirmSubscription(to: signal)
            }
            return known
        }
        directory?.end(QiError(.notFound, "\(name) is another than before"))
        let directory = RemoteObject(
            bus: bus, name: name, connection: connection, address: .serviceDirectory, metaObject: metaObject)
        try await directory.confirmedListen(to: WellKnownActions.serviceRemoved) { [weak self] payload, _, _ in
            guard let self, let (id, _) = payload.idAndName else { return }
            removed(id, isOrderly: false)
        }
        try await directory.confirmedListen(to: WellKnownActions.serviceAdded) { [weak self] payload, _, _ in
            guard let self, let (id, name) = payload.idAndName else { return }
            added(id, name)
        }
        self.directory = directory
        return directory
    }

    /// Listens to what says why services go. libqi's directory has none.
    private nonisolated(nonsending) func describeDepartures(of directory: RemoteObject, on connection: Connection) async throws(QiError) {
        let found: QiValue
        do throws(QiError) {
            found = try await directory.value(
                of: WellKnownActions.service, [.string(Departures.serviceName)], deadline: .now() + .seconds(10))
        } catch {
            // Whatever the directory answers, it has none for us.
            if connection.isClosed || error.code == .timedOut { throw error }
            return
        }
        guard let info = try? ServiceInfo(qiValue: found), info.serviceID >= ServiceIDs.end else { return }
        let address = ObjectAddress.main(ofService: info.serviceID)
        let metaObject = try await connection.metaObject(of: address, name: Departures.serviceName)
        if let known = departures, known.metaObject == metaObject {
            known.attach(to: connection, at: address)
            return try await known.confirmSubscription(to: Departures.unregistered)
        }
        departures?.end(QiError(.notFound, "\(name) is another than before"))
        let object = RemoteObject(bus: bus, name: Departures.serviceName, connection: connection, address: address, metaObject: metaObject)
        departures = object
        try await object.confirmedListen(to: Departures.unregistered) { [weak self] payload, _, _ in
            if let self, let (id, _) = payload.idAndName { removed(id, isOrderly: true) }
        }
    }

    /// Whether the directory says why services go.
    var saysWhy: Bool { departures?.connection != nil }

    /// The services of a list that are not our own.
    private func others(in list: QiValue) throws(QiError) -> [ServiceInfo] {
        do throws(WireError) {
            return try ServiceInfo.list(list).filter { !isOwn($0.serviceID) }
        } catch {
            throw QiError(.invalid, "the list of \(name) cannot be read: \(error.message)")
        }
    }

    /// The directory waits for the owners of before its restart; so long what it does not list may still return.
    private func forgetMissingLater(on connection: Connection) {
        bus.enqueue { [self] in
            await bus.pause(DirectoryTable.reservationTime)
            guard directory?.connection === connection else { return }
            user?.changed(mirror.forgetMissing(), isOrderly: false)
        }
    }

    private func logged(_ error: QiError? = nil) -> Logger.Metadata {
        var metadata: Logger.Metadata = [LogKeys.peer: "\(name)", LogKeys.endpoint: "\(endpoint)"]
        if let error { metadata[LogKeys.error] = "\(error.message)" }
        return metadata
    }

    // MARK: - What comes and goes there

    private func removed(_ id: UInt32, isOrderly: Bool) {
        arriving.remove(id)
        if questions > 0, removedWhileAsking.count < ServiceMirror.maximumServices { removedWhileAsking.insert(id) }
        user?.changed(mirror.removed(id), isOrderly: isOrderly)
    }

    /// Asks the directory for a service that it is not known to list: one that was registered a moment ago can be looked up before its
    /// announcement is here.
    ///
    /// - Returns: nil when the directory does not list it either. What a directory answers beside what it lists has a higher id.
    /// - Throws: `.offline` when the directory cannot be asked.
    nonisolated(nonsending) func ask(for service: String, until deadline: NIODeadline) async throws(QiError) -> ServiceInfo? {
        guard away == nil, let directory else { throw away ?? QiError(.offline, "\(name) at \(endpoint) is away") }
        questions += 1
        defer {
            questions -= 1
            if questions == 0 { removedWhileAsking = [] }
        }
        let value: QiValue
        do throws(QiError) {
            value = try await directory.value(of: WellKnownActions.service, [.string(service)], deadline: deadline)
        } catch {
            // That there is none.
            if [.notFound, .remote, .denied].contains(error.code) { return nil }
            throw error
        }
        let info: ServiceInfo
        do throws(WireError) { info = try ServiceInfo(qiValue: value) } catch {
            throw QiError(.invalid, "what \(name) says of \(service) cannot be read: \(error.message)")
        }
        let id = info.serviceID
        guard info.name == service, id >= 2, id < ServiceIDs.end, !isOwn(id), !removedWhileAsking.contains(id) else { return nil }
        arriving.remove(id)
        user?.changed(mirror.entered(info), isOrderly: false)
        return mirror.service(named: service)
    }

    private func added(_ id: UInt32, _ service: String) {
        guard !isOwn(id), let directory, arriving.count < ServiceMirror.maximumServices else { return }
        arriving.insert(id)
        bus.enqueue { [self] in
            var backoff = Backoff(first: .milliseconds(250), most: .seconds(5))
            while arriving.contains(id), !bus.isShutDown, user != nil {
                do throws(QiError) {
                    return try await learn(id, service, from: directory)
                } catch {
                    bus.logger.debug(
                        "a directory does not describe a service yet",
                        metadata: [LogKeys.service: "\(service)", LogKeys.error: "\(error.message)"])
                }
                await bus.pause(backoff.next())
            }
        }
    }

    /// Asks for a service that was announced. What was removed, or belongs to a connection that is lost, arrives no more.
    private nonisolated(nonsending) func learn(_ id: UInt32, _ service: String, from directory: RemoteObject) async throws(QiError) {
        let value = try await directory.value(of: WellKnownActions.service, [.string(service)], deadline: .now() + .seconds(10))
        guard arriving.remove(id) != nil, !isOwn(id), let info = try? ServiceInfo(qiValue: value), info.serviceID == id
        else { return }
        user?.changed(mirror.entered(info), isOrderly: false)
        user?.announced(id)
    }

    private func isOwn(_ id: UInt32) -> Bool { user?.isOwn(id) ?? false }

    /// A service there is not what the list says.
    func forget(_ id: UInt32) { user?.changed(mirror.removed(id), isOrderly: false) }

    // MARK: - Waiting

    /// Returns when the directory can be used.
    ///
    /// - Throws: `.offline` when it cannot until `deadline`.
    nonisolated(nonsending) func joined(until deadline: NIODeadline) async throws(QiError) -> RemoteObject {
        while true {
            if away == nil, let directory, directory.connection != nil { return directory }
            guard NIODeadline.now() < deadline, !bus.isShutDown, !isEnded else {
                throw away ?? QiError(.offline, "\(name) at \(endpoint) is away")
            }
            let id = nextWaiter
            nextWaiter += 1
            let timer = bus.schedule(at: deadline) { [weak self] in self?.waiting.removeValue(forKey: id)?.resume() }
            await withUnsafeContinuation { waiting[id] = $0 }
            timer.cancel()
        }
    }

    private func wakeWaiting() {
        let ready = waiting
        waiting = [:]
        for waiter in ready.values { waiter.resume() }
    }
}
