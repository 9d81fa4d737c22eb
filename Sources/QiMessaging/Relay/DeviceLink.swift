import Logging
import NIOCore
import QiWire

/// The connection to one device's directory, opened when somebody asks, and the services that are in use through it.
/// Comes back by itself after a loss as long as one is. Confined to the bus loop.
final class DeviceLink: ConnectionOwner {
    /// A service in use: the object all its users share, and who looked it up under which name.
    private struct Tracked {
        let object: RemoteObject
        var info: ServiceInfo
        var users: [(directory: ServiceDirectory, name: String)]
        /// Proxies of this process.
        var proxies = 0

        var isUsed: Bool { !users.isEmpty || proxies > 0 }

        /// Whether the service found again is the same one (wire reference §25).
        func isStill(_ found: ServiceInfo, _ metaObject: MetaObject) -> Bool {
            info.serviceID == found.serviceID && info.sessionID == found.sessionID && info.objectUID == found.objectUID
                && object.metaObject == metaObject
        }
    }

    private enum State {
        case down
        case opening([(Result<RemoteObject, QiError>) -> Void])
        case up(RemoteObject)
    }

    let bus: Bus
    let device: String
    private let paths: any DevicePaths
    private let limits: ConnectionLimits
    /// How soon after a path died its calls end.
    let pathLoss: TimeAmount
    /// This node stops: no tunnel is opened any more.
    private var isStopped = false
    private var state = State.down
    private var services: [String: Tracked] = [:]
    private var resolving: [String: [(Result<(RemoteObject, ServiceInfo), QiError>) -> Void]] = [:]
    private var isRestoring = false
    /// Services that are waited for, and under which names.
    var expected: [String: [(directory: ServiceDirectory, name: String)]] = [:]
    /// The device's directory as it was last seen; it comes back with its subscriptions.
    private var lastDirectory: RemoteObject?
    /// Ids of services that were removed there while they were being found: what was learned of them is void.
    private var removedWhileFinding: Set<UInt32> = []
    private var findsRunning = 0
    /// How long setting up a tunnel, or a look-up through one, may take: libqi gives up after 60 s (wire reference §14).
    private static let setUpTime = TimeAmount.seconds(30)
    private(set) var connectedAt: NIODeadline?
    /// The device's last refusal, and until when it counts: no tunnel is asked for again before.
    private var refusal: (error: QiError, end: NIODeadline)?
    private static let refusalTime = TimeAmount.seconds(30)
    /// Directories that present this device's own, and want to know what comes and goes there.
    private var mirrors: [ServiceDirectory] = []

    init(bus: Bus, device: String, paths: any DevicePaths, limits: ConnectionLimits, pathLoss: TimeAmount) {
        self.pathLoss = pathLoss
        self.bus = bus
        self.device = device
        self.paths = paths
        self.limits = limits
    }

    var connection: Connection? { openDirectory?.connection }

    /// The device's directory, while a tunnel to it is open.
    var openDirectory: RemoteObject? { if case .up(let directory) = state { directory } else { nil } }

    var servicesInUse: Int { services.count }

    // MARK: - ConnectionOwner

    func opened(_ connection: Connection) {}

    /// Nothing of ours can be reached through a connection that we opened.
    func receiver(for address: ObjectAddress, on connection: Connection) -> (any ObjectReceiver)? { nil }

    func closed(_ connection: Connection, _ reason: CloseReason) {
        guard case .up(let directory) = state, directory.connection == nil || directory.connection === connection else { return }
        state = .down
        connectedAt = nil
        // Each is told by the connection itself; but two names may have been given one id there, and then only one is.
        for tracked in services.values where tracked.object.connection === connection { tracked.object.detach(reason.error) }
        bus.logger.info("tunnel lost", metadata: [LogKeys.peer: "\(device)", LogKeys.error: "\(reason.error.message)"])
        if case .stopped = reason { isStopped = true }
        guard !isStopped else { return }
        restoreIfNeeded()
    }

    /// Ends the tunnel. When the device may not be reached any more, its services are taken from whoever uses them here, and
    /// nothing is restored.
    func close(_ error: QiError) {
        forgetRefusal()
        if error.code == .denied {
            for service in Array(services.keys) { drop(service, error) }
        }
        connection?.close(.refused(error))
    }

    // MARK: - Opening

    /// The device's directory, through a tunnel that is opened if there is none.
    func directory(completion: @escaping (Result<RemoteObject, QiError>) -> Void) {
        switch state {
        case .up(let directory): completion(.success(directory))
        case .opening(let waiting): state = .opening(waiting + [completion])
        case .down:
            guard !bus.isShutDown, !isStopped else { return completion(.failure(QiError(.disconnected, "this node is stopping"))) }
            if let refusal, NIODeadline.now() < refusal.end { return completion(.failure(refusal.error)) }
            refusal = nil
            state = .opening([completion])
            bus.enqueue { [self] in
                let result = await open()
                guard case .opening(let waiting) = state else { return }
                switch result {
                case .success(let directory) where directory.connection != nil:
                    state = .up(directory)
                    connectedAt = .now()
                    keepAlive()
                case .success: state = .down
                case .failure(let error):
                    state = .down
                    // Of the device's policy only: a key or a name that we refuse is judged anew each time.
                    if error.code == .denied, error.message.hasPrefix("denied: ") { refusal = (error, .now() + Self.refusalTime) }
                }
                for handler in waiting { handler(result) }
            }
        }
    }

    /// Something changed there, or in what we know of the device: the next attempt may end otherwise.
    func forgetRefusal() { refusal = nil }

    nonisolated(nonsending) func directory() async throws(QiError) -> RemoteObject {
        // Not through the continuation: the object must not leave the loop.
        var result: Result<RemoteObject, QiError>?
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            directory {
                result = $0
                continuation.resume()
            }
        }
        guard let result else { throw QiError(.disconnected, "the tunnel to \(device) was not opened") }
        return try result.get()
    }

    private nonisolated(nonsending) func open() async -> Result<RemoteObject, QiError> {
        let end = NIODeadline.now() + Self.setUpTime
        let place = NIOLoopBoundBox<Connection?>.makeEmptyBox(valueType: Connection.self, eventLoop: bus.eventLoop)
        let link = NIOLoopBound(self, eventLoop: bus.eventLoop)
        let attempt: any PathAttempt
        do throws(QiError) { attempt = try paths.attempt(device) } catch { return .failure(error) }
        let credentials = attempt.credentials
        do throws(QiError) {
            try await attempt.open(on: bus.eventLoop) { channel in
                channel.eventLoop.makeCompletedFuture {
                    let link = link.value
                    place.value = try QiPipeline.install(
                        on: channel, bus: link.bus, role: .client, origin: .device(name: link.device), owner: link,
                        limits: link.limits, credentials: credentials)
                }
            }
            guard let connection = place.value else { throw QiError(.disconnected, "the tunnel to \(device) closed at once") }
            let name = device
            let watchdog = bus.schedule(at: end) {
                connection.close(.silent(QiError(.timedOut, "\(name) did not finish setting up the tunnel within 30 s")))
            }
            defer { watchdog.cancel() }
            do throws(QiError) {
                try await connection.opened()
                try attempt.verify(connection.remoteCapabilities)
                return .success(try await describeDirectory(on: connection))
            } catch {
                connection.close(.setUpFailed(error))
                throw error
            }
        } catch {
            return .failure(attempt.refusal ?? error)
        }
    }

    /// The object that stands for the directory on every tunnel there is in turn: one, or each event would come once per object.
    private nonisolated(nonsending) func describeDirectory(on connection: Connection) async throws(QiError) -> RemoteObject {
        let name = "\(device)/ServiceDirectory"
        let metaObject = try await connection.metaObject(of: .serviceDirectory, name: name)
        if let known = lastDirectory, known.metaObject == metaObject {
            known.attach(to: connection, at: .serviceDirectory)
            try await known.confirmSubscription(to: WellKnownActions.serviceRemoved)
            try await known.confirmSubscription(to: WellKnownActions.serviceAdded)
            return known
        }
        let directory = RemoteObject(
            bus: bus, name: name, connection: connection, address: .serviceDirectory, metaObject: metaObject)
        try await listen(to: directory)
        lastDirectory = directory
        return directory
    }

    private nonisolated(nonsending) func listen(to directory: RemoteObject) async throws(QiError) {
        try await directory.confirmedListen(to: WellKnownActions.serviceRemoved) { [weak self] payload, _, _ in
            guard let self, let (id, name) = payload.idAndName else { return }
            if findsRunning > 0, removedWhileFinding.count < 65_536 { removedWhileFinding.insert(id) }
            drop(name, QiError(.notFound, "\(device)/\(name) was removed there"))
            for mirror in mirrors { mirror.mirrored(removed: name) }
        }
        try await directory.confirmedListen(to: WellKnownActions.serviceAdded) { [weak self] payload, _, _ in
            guard let self, let (_, name) = payload.idAndName else { return }
            arrived(name)
            for mirror in mirrors { mirror.mirrored(added: name) }
        }
    }

    // MARK: - Services

    /// Finds a service there and remembers who uses it under which name.
    func resolve(
        _ service: String, as name: String, for directory: ServiceDirectory,
        completion: @escaping (Result<ResolvedService, QiError>) -> Void
    ) {
        resolve(service) { [self] result in
            completion(
                result.map { object, info in
                    if services[service]?.users.contains(where: { $0.directory === directory && $0.name == name }) == false {
                        services[service]?.users.append((directory, name))
                    }
                    return ResolvedService(object: object, info: info)
                })
        }
    }

    /// Finds a service there. `finish` runs exactly once, and notes who uses it before it returns.
    private func resolve(_ service: String, finish: @escaping (Result<(RemoteObject, ServiceInfo), QiError>) -> Void) {
        if let known = services[service], known.object.connection != nil {
            return finish(.success((known.object, known.info)))
        }
        if resolving[service] != nil {
            resolving[service]?.append(finish)
            return
        }
        guard !bus.isShutDown else { return finish(.failure(QiError(.disconnected, "this node is stopping"))) }
        resolving[service] = [finish]
        bus.enqueue { [self] in
            let result: Result<(RemoteObject, ServiceInfo), QiError>
            do throws(QiError) { result = .success(try await find(service)) } catch { result = .failure(error) }
            for handler in resolving.removeValue(forKey: service) ?? [] { handler(result) }
            forgetIfUnused(service)
        }
    }

    /// A service there for this process, which owes an ``objectReleased(_:)``.
    nonisolated(nonsending) func object(of service: String) async throws(QiError) -> RemoteObject {
        var result: Result<(RemoteObject, ServiceInfo), QiError>?
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            resolve(service) { [self] in
                if case .success = $0 { services[service]?.proxies += 1 }
                result = $0
                continuation.resume()
            }
        }
        guard let result else { throw QiError(.disconnected, "\(device)/\(service) was not looked up") }
        return try result.get().0
    }

    /// This process does not use `object` any more.
    func objectReleased(_ object: RemoteObject) {
        guard let service = services.first(where: { $0.value.object === object })?.key else { return }
        services[service]?.proxies -= 1
        forgetIfUnused(service)
    }

    private func forgetIfUnused(_ service: String) {
        guard let tracked = services[service], !tracked.isUsed, resolving[service] == nil else { return }
        services[service] = nil
        if tracked.object !== lastDirectory { tracked.object.detach(QiError(.notFound, "nobody uses it")) }
    }

    private nonisolated(nonsending) func find(_ service: String) async throws(QiError) -> (RemoteObject, ServiceInfo) {
        let end = NIODeadline.now() + Self.setUpTime
        findsRunning += 1
        defer {
            findsRunning -= 1
            if findsRunning == 0 { removedWhileFinding = [] }
        }
        let directory = try await directory()
        let (info, metaObject) = try await describe(service, directory, until: end)
        if removedWhileFinding.contains(info.serviceID) {
            throw QiError(.notFound, "no service \"\(service)\" on \(device): it was removed there just now")
        }
        guard let connection = directory.connection else { throw directory.lostError }
        let address = ObjectAddress.main(ofService: info.serviceID)
        if let known = services[service] {
            if known.isStill(info, metaObject) {
                if known.object.connection == nil { known.object.attach(to: connection, at: address) }
                return (known.object, known.info)
            }
            drop(service, QiError(.notFound, "\(device)/\(service) is another service than before"))
        }
        let object = address == .serviceDirectory
            ? directory
            : RemoteObject(
                bus: bus, name: "\(device)/\(service)", connection: connection, address: address, metaObject: metaObject)
        services[service] = Tracked(object: object, info: info, users: [])
        return (object, info)
    }

    private nonisolated(nonsending) func describe(
        _ service: String, _ directory: RemoteObject, until end: NIODeadline
    ) async throws(QiError) -> (ServiceInfo, MetaObject) {
        let value: QiValue
        do throws(QiError) {
            value = try await directory.value(
                of: WellKnownActions.service, [.string(service)], deadline: min(end, .now() + .seconds(10)))
        } catch {
            guard error.code == .notFound || error.code == .remote else { throw error }
            throw QiError(.notFound, "no service \"\(service)\" on \(device): \(error.message)")
        }
        let info: ServiceInfo
        do { info = try ServiceInfo(qiValue: value) } catch {
            throw QiError(.invalid, "\(device) describes \(service) in a form that cannot be read: \(error.message)")
        }
        guard let connection = directory.connection else { throw directory.lostError }
        let address = ObjectAddress.main(ofService: info.serviceID)
        // Not 10 s: a big metaobject takes its time through a tunnel.
        return (info, try await connection.metaObject(of: address, name: "\(device)/\(service)", deadline: end))
    }

    /// `name` is used by nobody any more.
    func released(_ name: String, by directory: ServiceDirectory) {
        for service in Array(services.keys) {
            services[service]?.users.removeAll { $0.directory === directory && $0.name == name }
            forgetIfUnused(service)
        }
    }

    /// A service there is not what it was: its users here are told.
    private func drop(_ service: String, _ error: QiError) {
        guard let tracked = services.removeValue(forKey: service) else { return }
        // For good: listeners of this process are told, those of others by their directories.
        if tracked.object !== lastDirectory { tracked.object.end(error) }
        for user in tracked.users { user.directory.retire(user.name) }
    }

    func mirror(_ directory: ServiceDirectory) { mirrors.append(directory) }

    func stopMirroring(_ directory: ServiceDirectory) {
        mirrors.removeAll { $0 === directory }
        for service in Array(services.keys) {
            services[service]?.users.removeAll { $0.directory === directory }
            forgetIfUnused(service)
        }
    }

    // MARK: - Coming back

    /// After a loss: once the device can be reached, every service in use is looked up again. What is unchanged goes on, with its
    /// subscriptions; what is not is taken from its users, so that no call reaches another method than the one meant.
    func restoreIfNeeded() {
        guard !isRestoring, isNeeded else { return }
        isRestoring = true
        bus.enqueue { [self] in
            var backoff = Backoff(first: .milliseconds(500), most: .seconds(60))
            while !bus.isShutDown, isNeeded {
                await paths.untilReachable(device)
                if bus.isShutDown { break }
                do throws(QiError) {
                    try await restore()
                    break
                } catch {
                    bus.logger.debug("tunnel not restored", metadata: [LogKeys.peer: "\(device)", LogKeys.error: "\(error.message)"])
                }
                await bus.pause(backoff.next())
            }
            isRestoring = false
        }
    }

    private var isNeeded: Bool { !services.isEmpty || !mirrors.isEmpty || !expected.isEmpty }

    private nonisolated(nonsending) func restore() async throws(QiError) {
        let directory = try await directory()
        var failure: QiError?
        for service in Array(services.keys) where services[service] != nil {
            do throws(QiError) {
                _ = try await find(service)
                // Its last user may have gone meanwhile.
                forgetIfUnused(service)
            } catch {
                // One that cannot be described any more must not keep the others away.
                switch error.code {
                case .notFound, .remote, .invalid, .denied: drop(service, error)
                default: failure = error
                }
            }
        }
        if let failure { throw failure }
        try await lookForExpected(Array(expected.keys), in: directory)
        guard directory.connection != nil else { throw directory.lostError }
        bus.logger.info("tunnel restored", metadata: [LogKeys.peer: "\(device)"])
    }
}
