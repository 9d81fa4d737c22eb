import Logging
import NIOCore
import QiWire

/// The connection to one device's directory, opened at the first use, and the services that are in use through it.
/// Comes back by itself after a loss as long as one is. Confined to the bus loop.
final class DeviceLink: ConnectionOwner {
    /// Who uses a service: who looked it up under which name, and how many proxies of this process there are.
    private struct Use {
        var users: [(directory: ServiceDirectory, name: String)] = []
        var proxies = 0

        var isUsed: Bool { !users.isEmpty || proxies > 0 }
    }

    let bus: Bus
    let device: String
    private let paths: any DevicePaths
    private let limits: ConnectionLimits
    /// How soon after a path died its calls end.
    let pathLoss: TimeAmount
    let remote: RemoteDirectory
    private let streamLimits: StreamStateMachine.Limits
    /// What keeps the stream in use on the best path; nil for a tunnel of one bytestream.
    private(set) var ladder: PathLadder?
    /// To which kind of path streams there are kept, the present one and those to come.
    private var holds = PathHolds()
    /// Commands of which we hear when they end.
    private var holders: Set<PathHolds.Holder> = []
    let services: RemoteServices
    private var uses: [String: Use] = [:]
    /// Services that are waited for, and under which names.
    var expected: [String: [(directory: ServiceDirectory, name: String)]] = [:]
    /// Those of them that the device is to be asked for.
    var unasked: Set<String> = []
    /// The tunnel on which that happens.
    var askedOn: Connection?
    /// How long setting up a tunnel, or a look-up through one, may take: libqi gives up after 60 s (wire reference §14).
    private static let setUpTime = TimeAmount.seconds(30)
    /// The tunnel that is being set up, and what ends it when that takes too long.
    private var opening: (connection: Connection, watchdog: Scheduled<Void>)?
    private(set) var connectedAt: NIODeadline?
    /// The device's last refusal, and until when it counts: no tunnel is asked for again before.
    private var refusal: (error: QiError, end: NIODeadline)?
    private static let refusalTime = TimeAmount.seconds(30)
    private var observers: [(observer: AnyObject, changed: () -> Void)] = []
    /// Directories that present this device's own, and want to know what comes and goes there.
    private var mirrors: [ServiceDirectory] = []

    init(bus: Bus, device: String, paths: any DevicePaths, limits: ConnectionLimits, streams: StreamStateMachine.Limits, pathLoss: TimeAmount) {
        self.pathLoss = pathLoss
        streamLimits = streams
        self.bus = bus
        self.device = device
        self.paths = paths
        self.limits = limits
        remote = RemoteDirectory(
            bus: bus,
            options: .init(
                name: "\(device)/ServiceDirectory", reason: QiError(.offline, "no tunnel to \(device) is open"),
                firstPause: .milliseconds(500), longestPause: .seconds(60)))
        services = RemoteServices(
            of: remote, sameBy: .object, lookUpTime: Self.setUpTime, pauses: (first: .milliseconds(250), most: .seconds(5)),
            place: "\(device)/", awaitsSubscriptions: false)
        remote.begin(for: self)
        services.begin(for: self)
    }

    /// The tunnel in use; nil while there is none.
    var connection: Connection? { remote.connection }

    var servicesInUse: Int { services.count }

    // MARK: - ConnectionOwner

    func opened(_ connection: Connection) {}

    /// Nothing of ours can be reached through a connection that we opened, but services that are registered with the device on it; it knows
    /// the objects that were passed on it itself.
    func receiver(for address: ObjectAddress, on connection: Connection) -> (any ObjectReceiver)? {
        for mirror in mirrors {
            if let receiver = mirror.hosting?.receiver(for: address, on: connection) { return receiver }
        }
        return nil
    }

    func closed(_ connection: Connection, _ reason: CloseReason) {
        // It leads to the gateway, which leads here.
        ladder?.encourage()
        ladder = nil
        guard remote.closed(connection, reason.error) else { return }
        connectedAt = nil
        for mirror in mirrors { mirror.hosting?.lost(connection, reason.error) }
        // Each is told by the connection itself; but two names may have been given one id there, and then only one is.
        for service in services.all where service.object.connection === connection { service.object.detach(reason.error) }
        tellObservers()
        bus.logger.info("tunnel lost", metadata: [LogKeys.peer: "\(device)", LogKeys.error: "\(reason.error.message)"])
        if case .stopped(let error) = reason { return remote.stop(error) }
        remote.comeBack()
    }

    /// Ends the tunnel. When the device may not be reached any more, its services are taken from those who use them here, and nothing is
    /// restored.
    func close(_ error: QiError) {
        forgetRefusal()
        if error.code == .denied {
            for service in services.names { services.giveUp(service, error) }
        }
        connection?.close(.refused(error))
        opening?.connection.close(.refused(error))
        // At once, without what waits.
        ladder?.stream.fail(error)
    }

    /// Something changed there, or in what we know of the device: the next attempt may end otherwise.
    func forgetRefusal() {
        refusal = nil
        ladder?.encourage()
    }

    // MARK: - Whether it answers

    /// Whether the device answers, as far as is known: its tunnel is open, and has a path or was left by it only just now.
    var isLive: Bool {
        guard let connection, !connection.isClosed else { return false }
        return ladder?.isGivenUp(at: .now()) != true
    }

    func observe(_ observer: AnyObject, _ changed: @escaping () -> Void) { observers.append((observer, changed)) }

    func stopObserving(_ observer: AnyObject) { observers.removeAll { $0.observer === observer } }

    private func tellObservers() {
        for observer in observers { observer.changed() }
    }

    // MARK: - Which path is taken

    /// Streams there are kept to one kind of path; nil: they choose for themselves again.
    func keep(to kind: PathKind?) {
        holds.keep(to: kind)
        followHolds()
    }

    /// Streams there are kept to one kind of path for a command, until its connection ends or ``endHold(of:)``.
    ///
    /// - Throws: `.limit` when another command keeps them on another kind, and when too many do at one time.
    func hold(on kind: PathKind, for command: CallContext) throws(QiError) {
        guard let holder = command.holder else {
            throw QiError(.unsupported, "a path is kept for a command that has a connection of its own", hint: "qimesh devices")
        }
        switch holds.begin(kind, for: holder) {
        case .kept(let other):
            throw QiError(.limit, "another command keeps the stream to \(device) on \(other): wait for it to end")
        case .tooMany:
            throw QiError(.limit, "\(PathHolds.most) commands keep the stream to \(device) on a path already: wait for one to end")
        case nil: break
        }
        followHolds()
        guard holders.insert(holder).inserted else { return }
        let (executor, link) = (bus.executor, NIOLoopBound(self, eventLoop: bus.eventLoop))
        command.whenConnectionEnds {
            executor.submit {
                link.value.holders.remove(holder)
                link.value.endHold(of: holder)
            }
        }
    }

    /// That command keeps streams there on no path any more.
    func endHold(of holder: PathHolds.Holder?) {
        guard let holder else { return }
        let before = holds.kind
        holds.end(for: holder)
        if holds.kind != before { followHolds() }
    }

    private func followHolds() { ladder?.keep(to: holds.kind) }

    // MARK: - Services

    /// Finds a service there and remembers who uses it under which name.
    func resolve(
        _ service: String, as name: String, for directory: ServiceDirectory,
        completion: @escaping (Result<ResolvedService, QiError>) -> Void
    ) {
        services.seek(service) { [self] result in
            completion(
                result.map { found in
                    if uses[service, default: Use()].users.contains(where: { $0.directory === directory && $0.name == name }) == false {
                        uses[service, default: Use()].users.append((directory, name))
                    }
                    return ResolvedService(object: found.object, info: found.info)
                })
        }
    }

    /// A service there for this process, which owes an ``objectReleased(_:)``.
    nonisolated(nonsending) func object(of service: String) async throws(QiError) -> RemoteObject {
        var result: Result<RemoteService, QiError>?
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            services.seek(service) { [self] in
                if case .success = $0 { uses[service, default: Use()].proxies += 1 }
                result = $0
                continuation.resume()
            }
        }
        guard let result else { throw QiError(.disconnected, "\(device)/\(service) was not looked up") }
        return try result.get().object
    }

    /// This process does not use `object` any more.
    func objectReleased(_ object: RemoteObject) {
        guard let service = services.all.first(where: { $0.object === object }) else { return }
        uses[service.name]?.proxies -= 1
        services.forgetIfUnused(service.name)
    }

    /// `name` is not used any more by that directory's clients.
    func released(_ name: String, by directory: ServiceDirectory) {
        forgetUsers { $0.directory === directory && $0.name == name }
    }

    private func forgetUsers(_ isGone: ((directory: ServiceDirectory, name: String)) -> Bool) {
        for service in services.names {
            uses[service]?.users.removeAll(where: isGone)
            services.forgetIfUnused(service)
        }
    }

    // MARK: - Presenting the device's directory

    func mirror(_ directory: ServiceDirectory) { mirrors.append(directory) }

    func stopMirroring(_ directory: ServiceDirectory) {
        mirrors.removeAll { $0 === directory }
        forgetUsers { $0.directory === directory }
    }

    /// All services there that we may know of.
    nonisolated(nonsending) func list(within limit: TimeAmount = .seconds(10)) async throws(QiError) -> [ServiceInfo] {
        try await remote.join().listedServices(until: .now() + limit)
    }

    /// What the node reports of this link.
    var status: DeviceLinkStatus {
        DeviceLinkStatus(
            device: device, isUp: connection != nil, hasPath: connection.map { $0.stream.map { $0.path != nil } ?? true } ?? false,
            callsInFlight: connection?.callsInFlight ?? 0, services: servicesInUse,
            upFor: connectedAt.map { Duration.nanoseconds((NIODeadline.now() - $0).nanoseconds) })
    }
}

// MARK: - Opening

extension DeviceLink: RemoteDirectoryUser {
    var isWanted: Bool { services.count > 0 || !mirrors.isEmpty || !expected.isEmpty }

    nonisolated(nonsending) func untilReachable() async { await paths.untilReachable(device) }

    nonisolated(nonsending) func connect() async throws(QiError) -> Connection {
        if let refusal, NIODeadline.now() < refusal.end { throw refusal.error }
        refusal = nil
        ladder = nil
        let attempt = try paths.attempt(device)
        do throws(QiError) {
            let connection =
                if let source = try await attempt.stream() {
                    try await openStream(over: source, attempt)
                } else {
                    try await openTunnel(attempt)
                }
            // From here on: a bytestream waits for its turn before.
            watch(connection, until: .now() + Self.setUpTime)
            do throws(QiError) {
                try await connection.opened()
                try attempt.verify(connection.remoteCapabilities)
                ladder?.climb()
                return connection
            } catch {
                connection.close(.setUpFailed(error))
                throw error
            }
        } catch {
            throw attempt.refusal ?? error
        }
    }

    /// A stream over the paths that lead there.
    private nonisolated(nonsending) func openStream(
        over source: any StreamPathSource, _ attempt: any PathAttempt
    ) async throws(QiError) -> Connection {
        let stream = StreamChannel(id: .random(), limits: streamLimits, on: bus.eventLoop, logger: bus.logger)
        let connection: Connection
        do {
            connection = try QiPipeline.install(
                on: stream, bus: bus, role: .client, origin: .device(name: device, by: attempt.path), owner: self, limits: limits,
                credentials: attempt.credentials)
        } catch {
            throw error as? QiError ?? QiError(.disconnected, "the stream to \(device) could not be made", cause: error)
        }
        let ladder = PathLadder(bus: bus, stream: stream, to: device, source: source, patience: pathLoss)
        self.ladder = ladder
        ladder.keep(to: holds.kind)
        try await ladder.open()
        return connection
    }

    /// One bytestream, as nodes of before know it.
    private nonisolated(nonsending) func openTunnel(_ attempt: any PathAttempt) async throws(QiError) -> Connection {
        let place = NIOLoopBoundBox<Connection?>.makeEmptyBox(valueType: Connection.self, eventLoop: bus.eventLoop)
        let link = NIOLoopBound(self, eventLoop: bus.eventLoop)
        let (credentials, origin) = (attempt.credentials, ConnectionOrigin.device(name: device, by: attempt.path))
        try await attempt.open(on: bus.eventLoop) { channel in
            channel.eventLoop.makeCompletedFuture {
                let link = link.value
                place.value = try QiPipeline.install(
                    on: channel, bus: link.bus, role: .client, origin: origin, owner: link,
                    limits: link.limits, credentials: credentials)
            }
        }
        guard let connection = place.value else { throw QiError(.disconnected, "the tunnel to \(device) closed at once") }
        return connection
    }

    private func watch(_ connection: Connection, until end: NIODeadline) {
        let watchdog = bus.schedule(at: end) { [device] in
            connection.close(.silent(QiError(.timedOut, "\(device) did not finish setting up the tunnel within 30 s")))
        }
        opening = (connection, watchdog)
    }

    private func endedOpening() {
        opening?.watchdog.cancel()
        opening = nil
    }

    func joined(_ directory: RemoteObject, on connection: Connection) {
        endedOpening()
        connectedAt = .now()
        // A stream looks after its paths itself.
        if ladder == nil { keepAlive() }
        services.restoreAll()
        unasked = Set(expected.keys)
        askForExpected()
        for mirror in mirrors { mirror.hosting?.joined(directory) }
        tellObservers()
        bus.logger.info("tunnel open", metadata: [LogKeys.peer: "\(device)"])
    }

    func failed(_ error: QiError, isNews: Bool) {
        endedOpening()
        // Of the device's policy only: a key or a name that we refuse is judged anew each time.
        if error.code == .denied, error.message.hasPrefix("denied: "), refusal == nil { refusal = (error, .now() + Self.refusalTime) }
        bus.logger.debug("tunnel not open", metadata: [LogKeys.peer: "\(device)", LogKeys.error: "\(error.message)"])
    }

    func removed(_ id: UInt32, _ name: String) {
        services.giveUp(name, QiError(.notFound, "\(device)/\(name) was removed there"))
        tellObservers()
        for mirror in mirrors {
            if let connection { mirror.hosting?.removed(id, on: connection) }
            mirror.mirrored(removed: name)
        }
    }

    func added(_ id: UInt32, _ name: String) {
        arrived(name)
        tellObservers()
        for mirror in mirrors where mirror.hosting?.hosts(name) != true { mirror.mirrored(added: name) }
    }
}

// MARK: - Services in use

extension DeviceLink: RemoteServicesUser {
    nonisolated(nonsending) func info(of name: String, until deadline: NIODeadline) async throws(QiError) -> ServiceInfo {
        do throws(QiError) {
            return try await remote.join().info(ofService: name, until: min(deadline, .now() + .seconds(10)))
        } catch {
            guard error.code == .notFound || error.code == .remote else { throw error }
            throw QiError(.notFound, "no service \"\(name)\" on \(device): \(error.message)")
        }
    }

    nonisolated(nonsending) func connection(for info: ServiceInfo, until deadline: NIODeadline) async throws(QiError) -> Connection {
        guard let connection else { throw remote.away ?? QiError(.disconnected, "the tunnel to \(device) was lost") }
        return connection
    }

    func object(named name: String, of info: ServiceInfo, on connection: Connection, _ metaObject: MetaObject) -> RemoteObject {
        let address = ObjectAddress.main(ofService: info.serviceID)
        if address == .serviceDirectory, let directory = remote.object { return directory }
        return RemoteObject(bus: bus, name: "\(device)/\(name)", connection: connection, address: address, metaObject: metaObject)
    }

    func isUsed(_ name: String) -> Bool { uses[name]?.isUsed == true }

    func mayBeFound(_ name: String) -> Bool { connection != nil }

    /// One that cannot be described any more is not waited for.
    func verdict(on error: QiError, of service: RemoteService, soughtSince begin: NIODeadline) -> ServiceVerdict {
        [.notFound, .remote, .invalid, .denied].contains(error.code) ? .gone(error) : .lookAgain
    }

    func forgotten(_ name: String) { uses[name] = nil }

    func gone(_ name: String, _ service: RemoteService, _ error: QiError) {
        for user in uses.removeValue(forKey: name)?.users ?? [] { user.directory.retire(user.name) }
    }
}
