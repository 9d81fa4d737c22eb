import Logging
import NIOCore
import QiWire

/// A member board's way to its master directory: registers the board's services there, and mirrors what the master lists. Comes back
/// by itself after a loss, and then registers everything again under the old ids. Confined to the bus loop.
final class MasterLink: ConnectionOwner {
    let bus: Bus
    let endpoint: Endpoint
    unowned let directory: ServiceDirectory
    var mirror = ServiceMirror()
    /// The master's directory, on every connection there is in turn.
    private(set) var master: RemoteObject?
    /// Why the master cannot be used now; nil while it can.
    private(set) var away: QiError?
    private var waiting: [UInt64: UnsafeContinuation<Void, Never>] = [:]
    private var nextWaiter: UInt64 = 0
    /// Services that are reached through us alone, by id.
    private var objects: [UInt32: RemoteObject] = [:]
    /// Services that are being looked up because the master announced them.
    private var arriving: Set<UInt32> = []

    /// How long a registration waits for a master that is away.
    static let registrationTime = TimeAmount.seconds(10)

    /// How long one attempt to connect may take: a node that stops waits for it.
    private static let dialTime = TimeAmount.seconds(3)

    init(bus: Bus, endpoint: Endpoint, directory: ServiceDirectory) {
        self.bus = bus
        self.endpoint = endpoint
        self.directory = directory
        away = QiError(.offline, "the master directory at \(endpoint) has not answered yet")
    }

    var services: [ServiceInfo] { mirror.services.filter { directory.table.entries[$0.serviceID] == nil } }

    func service(named name: String) -> ServiceInfo? { mirror.service(named: name) }

    var connection: Connection? { away == nil ? master?.connection : nil }

    // MARK: - ConnectionOwner

    func opened(_ connection: Connection) {}

    /// The master reaches this board's services on this connection, for those who cannot come here themselves.
    func receiver(for address: ObjectAddress, on connection: Connection) -> (any ObjectReceiver)? {
        address == .serviceDirectory ? nil : directory.receiver(for: address, on: connection)
    }

    func closed(_ connection: Connection, error: QiError) {
        for object in directory.locals.values { object.closed(connection) }
        guard away == nil, master?.connection == nil || master?.connection === connection else { return }
        away = QiError(.offline, "the master directory at \(endpoint) is away: \(error.message)")
        arriving = []
        bus.logger.warning("master directory lost", metadata: [LogKeys.endpoint: "\(endpoint)", LogKeys.error: "\(error.message)"])
        join()
    }

    // MARK: - Joining

    /// Connects to the master, again and again until it answers.
    func join() {
        bus.enqueue { [self] in
            var backoff = Backoff(first: .milliseconds(100), most: .seconds(5))
            while !bus.isShutDown {
                do throws(QiError) {
                    return try await connect()
                } catch {
                    away = QiError(.offline, "the master directory at \(endpoint) is away: \(error.message)")
                    bus.logger.debug("master not reached", metadata: [LogKeys.endpoint: "\(endpoint)", LogKeys.error: "\(error.message)"])
                }
                await bus.pause(backoff.next())
            }
            wakeWaiting()
        }
    }

    private nonisolated(nonsending) func connect() async throws(QiError) {
        guard let loop = bus.loop else { throw QiError(.disconnected, "this node is stopping") }
        let owner = NIOLoopBound<any ConnectionOwner>(self, eventLoop: bus.eventLoop)
        let context = Dialer.Context(
            loop: loop, transports: TransportSet([], tls: TLSOptions()), owner: owner, limits: directory.limits)
        let connection = try await Dialer.connect(to: endpoint, in: context, timeout: Self.dialTime).value
        do throws(QiError) {
            let master = try await describe(on: connection)
            let list = try await master.value(of: WellKnownActions.services, [], deadline: .now() + .seconds(10))
            try await registerAgain(at: master)
            directory.apply(mirror.listed(try others(in: list)))
            guard master.connection === connection else { throw master.lostError }
            away = nil
            forgetMissingLater(on: connection)
            restoreObjects(on: connection)
        } catch {
            connection.close(error)
            throw error
        }
        bus.logger.info("joined the master directory", metadata: [LogKeys.endpoint: "\(endpoint)"])
        wakeWaiting()
    }

    private nonisolated(nonsending) func describe(on connection: Connection) async throws(QiError) -> RemoteObject {
        let metaObject = try await connection.metaObject(of: .serviceDirectory, name: "the master directory")
        if let known = master, known.metaObject == metaObject {
            known.attach(to: connection, at: .serviceDirectory)
            for signal in [WellKnownActions.serviceRemoved, WellKnownActions.serviceAdded] {
                try await known.confirmSubscription(to: signal)
            }
            return known
        }
        master?.end(QiError(.notFound, "the master directory is another than before"))
        let master = RemoteObject(
            bus: bus, name: "the master directory", connection: connection, address: .serviceDirectory, metaObject: metaObject)
        try await master.confirmedListen(to: WellKnownActions.serviceRemoved) { [weak self] payload, _ in
            guard let self, let (id, _) = payload.idAndName else { return }
            arriving.remove(id)
            directory.apply(mirror.removed(id))
        }
        try await master.confirmedListen(to: WellKnownActions.serviceAdded) { [weak self] payload, _ in
            guard let self, let (id, name) = payload.idAndName else { return }
            added(id, name)
        }
        self.master = master
        return master
    }

    /// The services of a list that are not this board's own.
    private func others(in list: QiValue) throws(QiError) -> [ServiceInfo] {
        do throws(WireError) {
            var infos: [ServiceInfo] = []
            for info in list.asList ?? [] { infos.append(try ServiceInfo(qiValue: info)) }
            return infos.filter { directory.table.entries[$0.serviceID] == nil }
        } catch {
            throw QiError(.invalid, "the master's list cannot be read: \(error.message)")
        }
    }

    /// The master waits for the owners of before its restart; so long what it does not list may still return.
    private func forgetMissingLater(on connection: Connection) {
        bus.enqueue { [self] in
            await bus.pause(DirectoryTable.reservationTime)
            guard master?.connection === connection else { return }
            directory.apply(mirror.forgetMissing())
        }
    }

    /// A service came there.
    private func added(_ id: UInt32, _ name: String) {
        guard directory.table.entries[id] == nil, let master, arriving.count < ServiceMirror.maximumServices else { return }
        arriving.insert(id)
        bus.enqueue { [self] in
            var backoff = Backoff(first: .milliseconds(250), most: .seconds(5))
            while arriving.contains(id), !bus.isShutDown {
                do throws(QiError) {
                    return try await learn(id, name, from: master)
                } catch {
                    bus.logger.debug(
                        "the master does not describe a service yet",
                        metadata: [LogKeys.service: "\(name)", LogKeys.error: "\(error.message)"])
                }
                await bus.pause(backoff.next())
            }
        }
    }

    /// Asks the master for a service that it announced. What was removed, or belongs to a connection that is lost, arrives no more.
    private nonisolated(nonsending) func learn(_ id: UInt32, _ name: String, from master: RemoteObject) async throws(QiError) {
        let value = try await master.value(of: WellKnownActions.service, [.string(name)], deadline: .now() + .seconds(10))
        guard arriving.remove(id) != nil, directory.table.entries[id] == nil, let info = try? ServiceInfo(qiValue: value),
            info.serviceID == id
        else { return }
        directory.apply(mirror.entered(info))
        if let connection { restoreObject(id, on: connection) }
    }

    /// Returns when the master can be used.
    ///
    /// - Throws: `.offline` when it cannot until `deadline`.
    nonisolated(nonsending) func joined(until deadline: NIODeadline) async throws(QiError) -> RemoteObject {
        while true {
            if away == nil, let master, master.connection != nil { return master }
            guard NIODeadline.now() < deadline, !bus.isShutDown else {
                throw away ?? QiError(.offline, "the master directory at \(endpoint) is away")
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

    // MARK: - Services reached through us

    /// A service that this board's clients cannot reach themselves.
    func object(of info: ServiceInfo, completion: @escaping (Result<RemoteObject, QiError>) -> Void) {
        let id = info.serviceID
        if let known = objects[id] { return completion(.success(known)) }
        guard let connection else { return completion(.failure(away ?? QiError(.offline, "the master is away"))) }
        connection.describe(.main(ofService: id), name: info.name) { [self] result in
            completion(
                result.map { metaObject in
                    if let known = objects[id] { return known }
                    let object = RemoteObject(
                        bus: bus, name: info.name, connection: connection, address: .main(ofService: id), metaObject: metaObject)
                    objects[id] = object
                    return object
                })
        }
    }

    func objectRemoved(_ id: UInt32) { objects.removeValue(forKey: id)?.end(QiError(.notFound, "Service removed")) }

    /// Gives the objects a path again whose services are the same as before; those that changed were removed.
    private func restoreObjects(on connection: Connection) {
        for id in objects.keys { restoreObject(id, on: connection) }
    }

    private func restoreObject(_ id: UInt32, on connection: Connection) {
        guard let object = objects[id], object.connection == nil else { return }
        connection.describe(.main(ofService: id), name: object.name) { [weak self] result in
            guard let self, objects[id] === object, object.connection == nil, !connection.isClosed else { return }
            switch result {
            case .success(object.metaObject): object.attach(to: connection, at: .main(ofService: id))
            case .success: directory.apply(mirror.removed(id))
            // Not there yet: the master announces it.
            case .failure: break
            }
        }
    }
}
