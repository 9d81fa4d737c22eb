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
    private let pathLoss: TimeAmount
    private var state = State.down
    private var services: [String: Tracked] = [:]
    private var resolving: [String: [(Result<(RemoteObject, ServiceInfo), QiError>) -> Void]] = [:]
    private var isRestoring = false
    private(set) var connectedAt: NIODeadline?
    /// Directories that present this device's own, and want to know what comes and goes there.
    private var mirrors: [ServiceDirectory] = []

    init(bus: Bus, device: String, paths: any DevicePaths, limits: ConnectionLimits, pathLoss: TimeAmount) {
        self.pathLoss = pathLoss
        self.bus = bus
        self.device = device
        self.paths = paths
        self.limits = limits
    }

    var connection: Connection? { if case .up(let directory) = state { directory.connection } else { nil } }

    // MARK: - ConnectionOwner

    func opened(_ connection: Connection) {}

    /// Nothing of ours can be reached through a connection that we opened.
    func receiver(for address: ObjectAddress, on connection: Connection) -> (any ObjectReceiver)? { nil }

    func closed(_ connection: Connection, error: QiError) {
        guard case .up(let directory) = state, directory.connection == nil || directory.connection === connection else { return }
        state = .down
        connectedAt = nil
        bus.logger.info("tunnel lost", metadata: [LogKeys.peer: "\(device)", LogKeys.error: "\(error.message)"])
        restoreIfNeeded()
    }

    func close(_ error: QiError) { connection?.close(error) }

    // MARK: - Opening

    /// The device's directory, through a tunnel that is opened if there is none.
    func directory(completion: @escaping (Result<RemoteObject, QiError>) -> Void) {
        switch state {
        case .up(let directory): completion(.success(directory))
        case .opening(let waiting): state = .opening(waiting + [completion])
        case .down:
            state = .opening([completion])
            bus.enqueue { [self] in
                let result = await open()
                guard case .opening(let waiting) = state else { return }
                switch result {
                case .success(let directory) where directory.connection != nil:
                    state = .up(directory)
                    connectedAt = .now()
                    keepAlive()
                case .success, .failure: state = .down
                }
                for handler in waiting { handler(result) }
            }
        }
    }

    private nonisolated(nonsending) func directory() async throws(QiError) -> RemoteObject {
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
        let place = NIOLoopBoundBox<Connection?>.makeEmptyBox(valueType: Connection.self, eventLoop: bus.eventLoop)
        let link = NIOLoopBound(self, eventLoop: bus.eventLoop)
        let credentials = paths.credentials(for: device)
        do throws(QiError) {
            try await paths.open(device, on: bus.eventLoop) { channel in
                channel.eventLoop.makeCompletedFuture {
                    let link = link.value
                    place.value = try QiPipeline.install(
                        on: channel, bus: link.bus, role: .client, origin: .device(name: link.device), owner: link,
                        limits: link.limits, credentials: credentials)
                }
            }
            guard let connection = place.value else { throw QiError(.disconnected, "the tunnel to \(device) closed at once") }
            do throws(QiError) {
                try await connection.opened()
                try paths.judge(connection.remoteCapabilities, of: device)
                let metaObject = try await connection.metaObject(of: .serviceDirectory, name: "\(device)/ServiceDirectory")
                let directory = RemoteObject(
                    bus: bus, name: "\(device)/ServiceDirectory", connection: connection, address: .serviceDirectory,
                    metaObject: metaObject)
                try await listen(to: directory)
                return .success(directory)
            } catch {
                connection.close(error)
                throw error
            }
        } catch {
            return .failure(paths.refusal(of: device) ?? error)
        }
    }

    private nonisolated(nonsending) func listen(to directory: RemoteObject) async throws(QiError) {
        try await directory.confirmedListen(to: WellKnownActions.serviceRemoved) { [weak self] payload, _ in
            guard let self, let (_, name) = payload.idAndName else { return }
            drop(name, QiError(.notFound, "\(device)/\(name) was removed there"))
            for mirror in mirrors { mirror.mirrored(removed: name) }
        }
        try await directory.confirmedListen(to: WellKnownActions.serviceAdded) { [weak self] payload, _ in
            guard let self, let (_, name) = payload.idAndName else { return }
            for mirror in mirrors { mirror.mirrored(added: name) }
        }
    }

    // MARK: - Services

    /// Finds a service there and remembers who uses it under which name.
    func resolve(
        _ service: String, as name: String, for directory: ServiceDirectory,
        completion: @escaping (Result<ResolvedService, QiError>) -> Void
    ) {
        let finish: (Result<(RemoteObject, ServiceInfo), QiError>) -> Void = { [self] result in
            completion(
                result.map { object, info in
                    if services[service]?.users.contains(where: { $0.directory === directory && $0.name == name }) == false {
                        services[service]?.users.append((directory, name))
                    }
                    return ResolvedService(object: object, info: info)
                })
        }
        if let known = services[service], known.object.connection != nil {
            return finish(.success((known.object, known.info)))
        }
        if resolving[service] != nil {
            resolving[service]?.append(finish)
            return
        }
        resolving[service] = [finish]
        bus.enqueue { [self] in
            let result: Result<(RemoteObject, ServiceInfo), QiError>
            do throws(QiError) { result = .success(try await find(service)) } catch { result = .failure(error) }
            for handler in resolving.removeValue(forKey: service) ?? [] { handler(result) }
        }
    }

    nonisolated(nonsending) func object(
        of service: String, as name: String, for directory: ServiceDirectory
    ) async throws(QiError) -> RemoteObject {
        var result: Result<ResolvedService, QiError>?
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            resolve(service, as: name, for: directory) {
                result = $0
                continuation.resume()
            }
        }
        guard let result else { throw QiError(.disconnected, "\(name) was not looked up") }
        return try result.get().object
    }

    private nonisolated(nonsending) func find(_ service: String) async throws(QiError) -> (RemoteObject, ServiceInfo) {
        let directory = try await directory()
        let (info, metaObject) = try await describe(service, directory)
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
        _ service: String, _ directory: RemoteObject
    ) async throws(QiError) -> (ServiceInfo, MetaObject) {
        let value: QiValue
        do throws(QiError) {
            value = try await directory.value(
                of: WellKnownActions.service, [.string(service)], deadline: .now() + .seconds(10))
        } catch {
            if error.code == .remote { throw QiError(.notFound, "no service \"\(service)\" on \(device): \(error.message)") }
            throw error
        }
        let info: ServiceInfo
        do { info = try ServiceInfo(qiValue: value) } catch {
            throw QiError(.invalid, "\(device) describes \(service) in a form that cannot be read: \(error.message)")
        }
        guard let connection = directory.connection else { throw directory.lostError }
        let address = ObjectAddress.main(ofService: info.serviceID)
        return (info, try await connection.metaObject(of: address, name: "\(device)/\(service)"))
    }

    /// All services there that we may know of.
    nonisolated(nonsending) func list() async throws(QiError) -> [ServiceInfo] {
        let value = try await directory().value(of: WellKnownActions.services, [], deadline: .now() + .seconds(10))
        do throws(WireError) {
            var infos: [ServiceInfo] = []
            for info in value.asList ?? [] { infos.append(try ServiceInfo(qiValue: info)) }
            return infos
        } catch {
            throw QiError(.invalid, "the list of \(device) cannot be read: \(error.message)")
        }
    }

    /// `name` is used by nobody any more.
    func released(_ name: String, by directory: ServiceDirectory) {
        for (service, tracked) in services {
            services[service]?.users.removeAll { $0.directory === directory && $0.name == name }
            if services[service]?.users.isEmpty == true {
                services[service] = nil
                if tracked.object.address != .serviceDirectory { tracked.object.detach(QiError(.notFound, "nobody uses it")) }
            }
        }
    }

    /// A service there is not what it was: its users here are told.
    private func drop(_ service: String, _ error: QiError) {
        guard let tracked = services.removeValue(forKey: service) else { return }
        if tracked.object.address != .serviceDirectory { tracked.object.detach(error) }
        for user in tracked.users { user.directory.retire(user.name) }
    }

    func mirror(_ directory: ServiceDirectory) { mirrors.append(directory) }

    func stopMirroring(_ directory: ServiceDirectory) {
        mirrors.removeAll { $0 === directory }
        for service in services.keys { services[service]?.users.removeAll { $0.directory === directory } }
        services = services.filter { !$0.value.users.isEmpty }
    }

    // MARK: - Coming back

    /// After a loss: once the device can be reached, every service in use is looked up again. What is unchanged goes on, with its
    /// subscriptions; what is not is taken from its users, so that no call reaches another method than the one meant.
    private func restoreIfNeeded() {
        guard !isRestoring, !services.isEmpty || !mirrors.isEmpty else { return }
        isRestoring = true
        bus.enqueue { [self] in
            var backoff = Backoff(first: .milliseconds(500), most: .seconds(60))
            while !bus.isShutDown, !services.isEmpty || !mirrors.isEmpty {
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

    private nonisolated(nonsending) func restore() async throws(QiError) {
        let directory = try await directory()
        for service in Array(services.keys) {
            do throws(QiError) {
                _ = try await find(service)
            } catch {
                guard error.code == .notFound else { throw error }
                drop(service, error)
            }
        }
        guard directory.connection != nil else { throw directory.lostError }
        bus.logger.info("tunnel restored", metadata: [LogKeys.peer: "\(device)"])
    }

    // MARK: - Noticing silence

    /// While calls wait, a silent path is asked whether it still is one: XMPP may hold a dead stream for minutes. A look every sixth of
    /// `pathLoss`, a question after a quarter of silence and two fifths for its answer: a call on a dead path ends in time.
    private func keepAlive() {
        guard let connection else { return }
        let link = NIOLoopBound(self, eventLoop: bus.eventLoop)
        let watched = NIOLoopBound(connection, eventLoop: bus.eventLoop)
        bus.eventLoop.scheduleTask(in: pathLoss / 6) {
            let (link, connection) = (link.value, watched.value)
            guard link.connection === connection, !connection.isClosed else { return }
            if connection.callsInFlight > 0, NIODeadline.now() - connection.lastReceived > link.pathLoss / 4 { link.probe(connection) }
            link.keepAlive()
            link.bus.executor.scheduleDrain()
        }
    }

    private func probe(_ connection: Connection) {
        let action = ActionAddress(.serviceDirectory, action: WellKnownActions.machineID)
        connection.call(action, ByteBuffer(), deadline: .now() + pathLoss / 5 * 2) { [device] answer in
            guard case .failure(let error) = answer, error.code == .timedOut else { return }
            connection.close(QiError(.offline, "the path to \(device) does not answer any more"))
        }
    }

    /// What the node reports of this link.
    var status: DeviceLinkStatus {
        DeviceLinkStatus(
            device: device, isUp: connection != nil, callsInFlight: connection?.callsInFlight ?? 0, services: services.count,
            upFor: connectedAt.map { Duration.nanoseconds((NIODeadline.now() - $0).nanoseconds) })
    }
}

/// How a link to a device stands.
public struct DeviceLinkStatus: Sendable {
    public let device: String
    public let isUp: Bool
    public let callsInFlight: Int
    public let services: Int
    public let upFor: Duration?
}

extension ByteBuffer {
    /// The arguments of serviceAdded and serviceRemoved, `(Is)`.
    var idAndName: (UInt32, String)? {
        var copy = self
        guard let id = try? copy.readQiUInt32(), case .string(let name)? = try? copy.readQi(.string) else { return nil }
        return (id, name.lossyText)
    }
}
