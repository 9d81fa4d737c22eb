import Logging
import NIOCore
import QiWire

/// The policy of what uses services of a directory elsewhere. Confined to the bus loop.
protocol RemoteServicesUser: AnyObject {
    /// What the directory says of a service now.
    ///
    /// - Throws: `.notFound` when it has none for us.
    nonisolated(nonsending) func info(of name: String, until deadline: NIODeadline) async throws(QiError) -> ServiceInfo
    /// The connection that leads to a service.
    nonisolated(nonsending) func connection(for info: ServiceInfo, until deadline: NIODeadline) async throws(QiError) -> Connection
    /// A service was described.
    ///
    /// - Throws: when it came or went meanwhile.
    func check(_ info: ServiceInfo, on connection: Connection) throws(QiError)
    /// What stands for a service that is found for the first time.
    func object(named name: String, of info: ServiceInfo, on connection: Connection, _ metaObject: MetaObject) -> RemoteObject
    /// Whether anything still uses a service.
    func isUsed(_ name: String) -> Bool
    /// Whether a service that is missing is worth looking for now; else it is restored when its user says so.
    func mayBeFound(_ name: String) -> Bool
    /// A service was looked for again and not found. Nil: it is looked for further; an error: it is gone.
    ///
    /// - Parameter begin: since when it is looked for.
    func verdict(on error: QiError, of service: RemoteService, soughtSince begin: NIODeadline) -> QiError?
    /// A missing service has its path again.
    func restored(_ name: String)
    /// A service is not used any more.
    func forgotten(_ name: String)
    /// A service is gone, and its object has ended.
    func gone(_ name: String, _ service: RemoteService, _ error: QiError)
}

extension RemoteServicesUser {
    func check(_ info: ServiceInfo, on connection: Connection) throws(QiError) {}
    func isUsed(_ name: String) -> Bool { true }
    func restored(_ name: String) {}
    func forgotten(_ name: String) {}
}

/// A service of a directory elsewhere that is in use here. Confined to the bus loop.
final class RemoteService: ServiceInUse {
    let name: String
    /// What all its users here share.
    let object: RemoteObject
    /// What the directory said of it last.
    fileprivate(set) var info: ServiceInfo
    /// Whether the connection to the directory is its path, or was the last one.
    fileprivate(set) var isThroughDirectory = false
    private var expiry: Scheduled<Void>?

    init(_ name: String, _ object: RemoteObject, _ info: ServiceInfo) {
        self.name = name
        self.object = object
        self.info = info
    }

    var hasPath: Bool { object.connection != nil }

    var identity: ServiceIdentity { ServiceIdentity(info: info, metaObject: object.metaObject) }

    /// It has no path for now.
    func lose(_ error: QiError) { object.detach(object.concealedLoss ?? error) }

    /// Runs `giveUp` after `time`, unless the service is back before.
    func expect(within time: TimeAmount, on bus: Bus, _ giveUp: @escaping () -> Void) {
        guard expiry == nil else { return }
        expiry = bus.schedule(at: .now() + time) {
            giveUp()
            bus.executor.scheduleDrain()
        }
    }

    /// It is there, or nothing can be known of it.
    func stopExpecting() {
        expiry?.cancel()
        expiry = nil
    }
}

/// The services of a ``RemoteDirectory`` that are in use here: looks them up, and finds them again. Confined to the bus loop.
final class RemoteServices {
    typealias Seeker = (Result<RemoteService, QiError>) -> Void

    private let bus: Bus
    private let directory: RemoteDirectory
    /// What makes a service found again the one of before.
    private let rule: ServiceIdentity.Rule
    private let lookUpTime: TimeAmount
    private let pauses: (first: TimeAmount, most: TimeAmount)
    /// What users of a service that is gone are told, where they are not to know why.
    private let concealedEnd: QiError?
    private weak var user: (any RemoteServicesUser)?
    private var table = ServiceTable<RemoteService, Seeker>()
    private var isEnded = false

    /// - Parameter lookUpTime: how long one look-up may take.
    init(
        of directory: RemoteDirectory, sameBy rule: ServiceIdentity.Rule, lookUpTime: TimeAmount,
        pauses: (first: TimeAmount, most: TimeAmount), concealedEnd: QiError? = nil
    ) {
        self.concealedEnd = concealedEnd
        bus = directory.bus
        self.directory = directory
        self.rule = rule
        self.lookUpTime = lookUpTime
        self.pauses = pauses
    }

    func begin(for user: any RemoteServicesUser) { self.user = user }

    subscript(name: String) -> RemoteService? { table.services[name] }
    var names: [String] { Array(table.services.keys) }
    var count: Int { table.services.count }
    var all: [RemoteService] { Array(table.services.values) }

    // MARK: - Looking up

    /// Finds a service. `completion` runs exactly once; it is to note who uses the service before it returns.
    func seek(_ name: String, completion: @escaping Seeker) {
        guard !bus.isShutDown, !isEnded else { return completion(.failure(QiError(.disconnected, "this node is stopping"))) }
        switch table.sought(name, by: completion) {
        case .found(let service): completion(.success(service))
        case .wait: break
        case .lookUp:
            bus.enqueue { [self] in
                let result: Result<RemoteService, QiError>
                do throws(QiError) {
                    result = .success(try await find(name, until: .now() + lookUpTime))
                } catch {
                    result = .failure(error)
                }
                for seeker in table.lookedUp(name) { seeker(result) }
                forgetIfUnused(name)
            }
        }
    }

    /// Looks a service up, reaches it, and compares it with the one of that name that is in use.
    ///
    /// - Parameter told: what the directory has said of it just now.
    nonisolated(nonsending) func find(
        _ name: String, told: ServiceInfo? = nil, until deadline: NIODeadline
    ) async throws(QiError) -> RemoteService {
        directory.removedMeanwhile.asked()
        defer { directory.removedMeanwhile.answered() }
        guard let user, !isEnded else { throw QiError(.disconnected, "this node is stopping") }
        let info: ServiceInfo
        if let told { info = told } else { info = try await user.info(of: name, until: deadline) }
        // With a path of its own it is the object that it was: neither end of that has changed.
        if let known = table.services[name], known.hasPath, info.isSame(as: known.info) { return known }
        let connection = try await user.connection(for: info, until: deadline)
        let address = ObjectAddress.main(ofService: info.serviceID)
        let metaObject = try await connection.metaObject(of: address, name: name, deadline: deadline)
        guard !isEnded else { throw QiError(.disconnected, "this node is stopping") }
        if directory.removedMeanwhile.contains(info.serviceID) {
            throw QiError(.notFound, "no service \"\(name)\": it was removed just now")
        }
        try user.check(info, on: connection)
        if let known = table.services[name] {
            if known.identity.isSame(as: ServiceIdentity(info: info, metaObject: metaObject), by: rule) {
                known.info = info
                try await attach(known, to: connection, at: address)
                return known
            }
            giveUp(name, QiError(.notFound, "\(name) is another service than before", hint: "look it up again"))
        }
        let service = RemoteService(name, user.object(named: name, of: info, on: connection, metaObject), info)
        service.isThroughDirectory = connection === directory.object?.connection
        table.used(name, service)
        return service
    }

    /// Gives a service its path, and waits for its subscriptions.
    private nonisolated(nonsending) func attach(
        _ service: RemoteService, to connection: Connection, at address: ObjectAddress
    ) async throws(QiError) {
        guard service.object.connection !== connection || service.object.address != address else { return }
        service.stopExpecting()
        service.object.attach(to: connection, at: address)
        service.isThroughDirectory = connection === directory.object?.connection
        do throws(QiError) {
            for signal in service.object.subscriptions.signals { try await service.object.confirmSubscription(to: signal) }
        } catch {
            // A subscription that silently brings nothing any more would be worse than none.
            if error.isRetryable || connection.isClosed { service.lose(error) } else { giveUp(service.name, error) }
            throw error
        }
        bus.logger.info("service restored", metadata: [LogKeys.service: "\(service.object.name)"])
        if table.services[service.name] === service { user?.restored(service.name) }
    }

    // MARK: - Finding again

    /// Compares every service in use with what the directory has now.
    func restoreAll() {
        for name in names { restore(name) }
    }

    /// Looks for a service in use until it is found, or its user's verdict is that it is gone.
    func restore(_ name: String) {
        guard !bus.isShutDown, !isEnded, let service = table.beginRestoring(name) else { return }
        bus.enqueue { [self] in
            defer { table.endedRestoring(name) }
            let begin = NIODeadline.now()
            var backoff = Backoff(first: pauses.first, most: pauses.most)
            while !bus.isShutDown, !isEnded, table.services[name] === service, user?.mayBeFound(name) == true {
                do throws(QiError) {
                    _ = try await find(name, until: .now() + lookUpTime)
                    return forgetIfUnused(name)
                } catch {
                    guard let user, table.services[name] === service else { return }
                    bus.logger.debug("service not restored", metadata: [LogKeys.service: "\(name)", LogKeys.error: "\(error.message)"])
                    if let verdict = user.verdict(on: error, of: service, soughtSince: begin) { return giveUp(name, verdict) }
                }
                await bus.pause(backoff.next())
            }
        }
    }

    // MARK: - Ending

    /// Forgets a service that nothing uses any more.
    func forgetIfUnused(_ name: String) {
        guard user?.isUsed(name) != true, let service = table.unused(name) else { return }
        service.stopExpecting()
        if service.object !== directory.object { service.object.detach(QiError(.notFound, "it is not used")) }
        user?.forgotten(name)
    }

    /// A service is gone, or another than the one that its users know: they are told, and must look it up anew.
    func giveUp(_ name: String, _ error: QiError) {
        guard let service = table.gone(name) else { return }
        bus.logger.info("service given up", metadata: [LogKeys.service: "\(service.object.name)", LogKeys.error: "\(error.message)"])
        service.stopExpecting()
        if service.object !== directory.object { service.object.end(concealedEnd ?? error) }
        user?.gone(name, service, error)
    }

    /// Nothing is looked up any more.
    func end(_ error: QiError) {
        isEnded = true
        for service in all {
            service.stopExpecting()
            service.object.end(error)
        }
        table = ServiceTable()
    }
}
