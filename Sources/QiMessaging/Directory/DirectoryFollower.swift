import Logging
import NIOCore
import QiWire

/// What a ``DirectoryFollower`` is for: what uses the services of the followed directory. Confined to the bus loop.
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
    /// By which name a policy judges what its process calls there; nil where none does.
    func serviceName(of id: UInt32, on connection: Connection) -> String?
    func closed(_ connection: Connection)
}

extension DirectoryFollowing {
    func serviceName(of id: UInt32, on connection: Connection) -> String? { nil }
}

/// Mirrors what a ``RemoteDirectory`` lists, hears what comes and goes there, and keeps what it has learned while that directory is
/// away. Confined to the bus loop.
final class DirectoryFollower: ConnectionOwner {
    let bus: Bus
    let endpoint: Endpoint
    let remote: RemoteDirectory
    /// What errors and logs call the directory: `the master directory`.
    var name: String { remote.name }
    /// Whether the log says that it went or came; not where another follower of the same directory says it.
    private let isTold: Bool
    private let limits: ConnectionLimits
    private let entrance: DirectoryEntrance
    /// Weak: the user may end while an answer is awaited here, and then nothing is followed any more.
    private weak var user: (any DirectoryFollowing)?
    private(set) var mirror = ServiceMirror()
    /// What says why services go, where the directory has it.
    private(set) var departures: RemoteObject?
    /// Services that are being looked up because the directory announced them.
    private var arriving: Set<UInt32> = []

    /// How long one attempt to connect may take: a node that stops waits for it.
    private static let dialTime = TimeAmount.seconds(3)

    init(
        bus: Bus, endpoint: Endpoint, name: String, limits: ConnectionLimits, entrance: DirectoryEntrance = DirectoryEntrance(),
        isTold: Bool = true, asksMachine: Bool = false, idsBelow end: UInt32 = ServiceIDs.end
    ) {
        mirror.end = end
        self.entrance = entrance
        self.bus = bus
        self.endpoint = endpoint
        self.isTold = isTold
        self.limits = limits
        remote = RemoteDirectory(
            bus: bus,
            options: .init(
                name: name, reason: QiError(.offline, "\(name) at \(endpoint) has not answered yet"), asksMachine: asksMachine,
                explain: { QiError(.offline, "\(name) at \(endpoint) is away: \($0.message)") }))
    }

    var connection: Connection? { remote.connection }
    /// The directory, on every connection there is in turn.
    var directory: RemoteObject? { remote.object }
    /// Why the directory cannot be used now; nil while it can.
    var away: QiError? { remote.away }

    /// Connects to the directory, now and after every loss, for as long as `user` lives.
    func join(for user: any DirectoryFollowing) {
        self.user = user
        remote.begin(for: self)
        remote.comeBack()
    }

    /// Follows no more.
    func end(_ error: QiError) {
        arriving = []
        remote.end(error)
        departures?.end(error)
    }

    // MARK: - ConnectionOwner

    func opened(_ connection: Connection) {}

    func receiver(for address: ObjectAddress, on connection: Connection) -> (any ObjectReceiver)? {
        address == .serviceDirectory ? nil : user?.receiver(for: address, on: connection)
    }

    func serviceName(of id: UInt32, on connection: Connection) -> String? { user?.serviceName(of: id, on: connection) }

    func closed(_ connection: Connection, _ reason: CloseReason) {
        user?.closed(connection)
        guard remote.closed(connection, reason.error), let error = away else { return }
        arriving = []
        user?.left(error)
        bus.logger.log(level: isTold ? .warning : .debug, "directory lost", metadata: logged(error))
        remote.comeBack()
    }

    private func logged(_ error: QiError? = nil) -> Logger.Metadata {
        var metadata: Logger.Metadata = [LogKeys.peer: "\(name)", LogKeys.endpoint: "\(endpoint)"]
        if let error { metadata[LogKeys.error] = "\(error.message)" }
        return metadata
    }

    // MARK: - Listing

    /// The services of a list that are not our own.
    private func others(in list: [ServiceInfo]) -> [ServiceInfo] { list.filter { !isOwn($0.serviceID) } }

    private func isOwn(_ id: UInt32) -> Bool { user?.isOwn(id) ?? false }

    /// The directory waits for the owners of before its restart; so long what it does not list may still return.
    private func forgetMissingLater(on connection: Connection) {
        bus.enqueue { [self] in
            await bus.pause(DirectoryTable.reservationTime)
            guard directory?.connection === connection else { return }
            user?.changed(mirror.forgetMissing(), isOrderly: false)
        }
    }

    /// A service there is not what the list says.
    func forget(_ id: UInt32) { user?.changed(mirror.removed(id), isOrderly: false) }

    // MARK: - Why services go

    /// Listens to what says why services go. libqi's directory has none.
    private nonisolated(nonsending) func describeDepartures(of directory: RemoteObject, on connection: Connection) async throws(QiError) {
        let info: ServiceInfo
        do throws(QiError) {
            info = try await directory.info(ofService: Departures.serviceName, until: .now() + .seconds(10))
        } catch {
            // Whatever the directory answers, it has none for us.
            if connection.isClosed || error.code == .timedOut { throw error }
            return
        }
        guard info.serviceID >= ServiceIDs.end else { return }
        let address = ObjectAddress.main(ofService: info.serviceID)
        let metaObject = try await connection.metaObject(of: address, name: Departures.serviceName)
        if let known = departures, known.metaObject == metaObject {
            known.attach(to: connection, at: address)
            return try await known.confirmSubscription(to: Departures.unregistered)
        }
        departures?.end(QiError(.notFound, "\(name) is another than before"))
        let object = RemoteObject(bus: bus, name: Departures.serviceName, connection: connection, address: address, metaObject: metaObject)
        departures = object
        try await object.confirmedListen(to: Departures.unregistered) { [weak self] payload, _, _, _ in
            if let self, let (id, _) = payload.idAndName { removed(id, isOrderly: true) }
        }
    }

    /// Whether the directory says why services go.
    var saysWhy: Bool { departures?.connection != nil }

    // MARK: - What comes and goes there

    private func removed(_ id: UInt32, isOrderly: Bool) {
        arriving.remove(id)
        remote.removedMeanwhile.remove(id)
        user?.changed(mirror.removed(id), isOrderly: isOrderly)
    }

    /// Asks the directory for a service that it is not known to list: one that was registered a moment ago can be looked up before its
    /// announcement is here.
    ///
    /// - Returns: nil when the directory does not list it either. What a directory answers beside what it lists has a higher id.
    /// - Throws: `.offline` when the directory cannot be asked.
    nonisolated(nonsending) func ask(for service: String, until deadline: NIODeadline) async throws(QiError) -> ServiceInfo? {
        guard away == nil, let directory else { throw away ?? QiError(.offline, "\(name) at \(endpoint) is away") }
        let question = remote.removedMeanwhile.asked()
        defer { remote.removedMeanwhile.answered(question) }
        let info: ServiceInfo
        do throws(QiError) {
            info = try await directory.info(ofService: service, until: deadline)
        } catch {
            if error.saysThereIsNone { return nil }
            throw error
        }
        let id = info.serviceID
        guard info.name == service, id >= 2, id < mirror.end, !isOwn(id), !remote.removedMeanwhile.contains(id, since: question)
        else { return nil }
        arriving.remove(id)
        user?.changed(mirror.entered(info), isOrderly: false)
        return mirror.service(named: service)
    }

    /// Asks for a service that was announced. What was removed, or belongs to a connection that is lost, arrives no more.
    private nonisolated(nonsending) func learn(_ id: UInt32, _ service: String, from directory: RemoteObject) async throws(QiError) {
        let info: ServiceInfo
        do throws(QiError) {
            info = try await directory.info(ofService: service, until: .now() + .seconds(10))
        } catch {
            guard error.code == .invalid else { throw error }
            arriving.remove(id)
            return
        }
        guard arriving.remove(id) != nil, !isOwn(id), info.serviceID == id else { return }
        user?.changed(mirror.entered(info), isOrderly: false)
        user?.announced(id)
    }

    /// Returns when the directory can be used.
    ///
    /// - Throws: `.offline` when it cannot until `deadline`.
    nonisolated(nonsending) func joined(until deadline: NIODeadline) async throws(QiError) -> RemoteObject {
        try await remote.joined(until: deadline)
    }
}

extension DirectoryFollower: RemoteDirectoryUser {
    var isWanted: Bool { user != nil }

    nonisolated(nonsending) func connect() async throws(QiError) -> Connection {
        guard let loop = bus.loop else { throw QiError(.disconnected, "this node is stopping") }
        let owner = NIOLoopBound<any ConnectionOwner>(self, eventLoop: bus.eventLoop)
        let context = Dialer.Context(
            loop: loop, transports: entrance.transports, owner: owner, limits: limits, credentials: entrance.credentials)
        return try await Dialer.connect(to: endpoint, in: context, timeout: Self.dialTime).value
    }

    nonisolated(nonsending) func prepare(_ directory: RemoteObject, on connection: Connection) async throws(QiError) {
        try await describeDepartures(of: directory, on: connection)
        let list = try await directory.listedServices(until: .now() + .seconds(10))
        guard let user else { throw QiError(.disconnected, "nothing uses this directory any more") }
        try await user.reached(directory)
        user.changed(mirror.listed(others(in: list)), isOrderly: false)
    }

    func joined(_ directory: RemoteObject, on connection: Connection) {
        forgetMissingLater(on: connection)
        user?.joined(on: connection)
        bus.logger.log(level: isTold ? .info : .debug, "directory joined", metadata: logged())
    }

    func failed(_ error: QiError, isNews: Bool) {
        // Said once, however often it is tried.
        bus.logger.log(
            level: isNews && isTold ? .warning : .debug, "a directory is not reached, and is tried again", metadata: logged(error))
    }

    func removed(_ id: UInt32, _ name: String) { removed(id, isOrderly: false) }

    func added(_ id: UInt32, _ service: String) {
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
}
