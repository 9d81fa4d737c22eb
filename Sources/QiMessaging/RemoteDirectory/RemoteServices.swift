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
    /// A service was looked for again and not found.
    ///
    /// - Parameter begin: since when it is looked for on this connection to the directory.
    func verdict(on error: QiError, of service: RemoteService, soughtSince begin: NIODeadline) -> ServiceVerdict
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

/// What becomes of a service that was not found again.
enum ServiceVerdict {
    case lookAgain
    /// Its user says when it is worth looking for.
    case wait
    case gone(QiError)
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
    /// The connection that is its path, or was the last one.
    fileprivate(set) var path: ObjectIdentifier?
    private var expiry: Scheduled<Void>?

    init(_ name: String, _ object: RemoteObject, _ info: ServiceInfo) {
        self.name = name
        self.object = object
        self.info = info
    }

    var hasPath: Bool { object.connection?.isClosed == false }

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
    /// Where the services are, for errors: `pepper/`.
    private let place: String
    /// Whether a service counts as found only when its owner has confirmed every subscription; else subscriptions follow by themselves.
    private let awaitsSubscriptions: Bool
    private weak var user: (any RemoteServicesUser)?
    private var table = ServiceTable<RemoteService, Seeker>()
    private var isEnded = false

    /// - Parameter lookUpTime: how long one look-up may take.
    init(
        of directory: RemoteDirectory, sameBy rule: ServiceIdentity.Rule, lookUpTime: TimeAmount,
        pauses: (first: TimeAmount, most: TimeAmount), place: String = "", awaitsSubscriptions: Bool = true, concealedEnd: QiError? = nil
    ) {
        self.place = place
        self.awaitsSubscriptions = awaitsSubscriptions
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
        guard !bus.isShutDown, !isEnded else { return completion(.failure(Self.stopping)) }
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
    /// - Parameters:
    ///   - told: what the directory has said of it just now.
    ///   - revived: the service that is to be found again, and no other.
    nonisolated(nonsending) func find(
        _ name: String, told: ServiceInfo? = nil, reviving revived: RemoteService? = nil, until deadline: NIODeadline
    ) async throws(QiError) -> RemoteService {
        let question = directory.removedMeanwhile.asked()
        defer { directory.removedMeanwhile.answered(question) }
        guard let user, !isEnded else { throw Self.stopping }
        let info: ServiceInfo
        if let told { info = told } else { info = try await user.info(of: name, until: deadline) }
        if let known = table.services[name] {
            // With a path of its own it is the object that it was: neither end of that has changed.
            if info.isSame(as: known.info), known.hasPath { return known }
            if !info.isSame(as: known.info), rule == .object { try takeAway(name, revived) }
        }
        let before = table.services[name]
        let connection = try await user.connection(for: info, until: deadline)
        let address = ObjectAddress.main(ofService: info.serviceID)
        let metaObject = try await connection.metaObject(of: address, name: place + name, deadline: deadline)
        guard !isEnded else { throw Self.stopping }
        guard !connection.isClosed else { throw QiError(.disconnected, "the connection to \(place)\(name) was lost") }
        try user.check(info, on: connection)
        if directory.removedMeanwhile.contains(info.serviceID, since: question) {
            throw QiError(.notFound, "no service \"\(place)\(name)\": it was removed just now")
        }
        if let known = table.services[name] {
            // Another look-up was quicker, and found a newer one.
            if known !== before, known.hasPath {
                if revived == nil { return known }
                throw QiError(.notFound, "\(place)\(name) is another service than before", hint: "look it up again")
            }
            if known.identity.isSame(as: ServiceIdentity(info: info, metaObject: metaObject), by: rule) {
                known.info = info
                try await attach(known, to: connection, at: address)
                return known
            }
            try takeAway(name, revived)
        }
        let service = RemoteService(name, user.object(named: name, of: info, on: connection, metaObject), info)
        service.isThroughDirectory = connection === directory.object?.connection
        service.path = ObjectIdentifier(connection)
        table.used(name, service)
        return service
    }

    private static let stopping = QiError(.disconnected, "this node is stopping")

    /// The service of that name is another one now. Only who asks for it by name is given that one.
    private func takeAway(_ name: String, _ revived: RemoteService?) throws(QiError) {
        let error = QiError(.notFound, "\(place)\(name) is another service than before", hint: "look it up again")
        giveUp(name, error)
        if revived != nil { throw error }
    }

    /// Gives a service its path, and waits for its subscriptions.
    private nonisolated(nonsending) func attach(
        _ service: RemoteService, to connection: Connection, at address: ObjectAddress
    ) async throws(QiError) {
        guard service.object.connection !== connection || service.object.address != address else { return }
        service.stopExpecting()
        service.object.attach(to: connection, at: address)
        service.isThroughDirectory = connection === directory.object?.connection
        service.path = ObjectIdentifier(connection)
        if awaitsSubscriptions { try await confirm(service, on: connection) }
        bus.logger.info("service restored", metadata: [LogKeys.service: "\(service.object.name)"])
        if table.services[service.name] === service { user?.restored(service.name) }
    }

    /// A subscription that silently brings nothing any more would be worse than none.
    private nonisolated(nonsending) func confirm(_ service: RemoteService, on connection: Connection) async throws(QiError) {
        do throws(QiError) {
            for signal in service.object.subscriptions.signals { try await service.object.confirmSubscription(to: signal) }
        } catch {
            guard table.services[service.name] === service else { throw error }
            if !error.isRetryable, !connection.isClosed {
                giveUp(service.name, error)
            } else if service.object.connection === connection || service.object.connection == nil {
                service.lose(error)
                restore(service.name)
            }
            throw error
        }
    }

    // MARK: - Finding again

    /// Compares every service in use with what the directory has now.
    func restoreAll() {
        for name in names { restore(name) }
    }

    /// Looks for a service in use until it is found, or its user's verdict is another.
    func restore(_ name: String) {
        guard !bus.isShutDown, !isEnded, let service = table.beginRestoring(name) else { return }
        bus.enqueue { [self] in
            defer { table.endedRestoring(name, service) }
            var path = directory.connection
            var begin = NIODeadline.now()
            var backoff = Backoff(first: pauses.first, most: pauses.most)
            while !bus.isShutDown, !isEnded, table.services[name] === service, user?.mayBeFound(name) == true {
                if path !== directory.connection {
                    path = directory.connection
                    begin = .now()
                }
                do throws(QiError) {
                    _ = try await find(name, reviving: service, until: .now() + lookUpTime)
                    if service.hasPath { return forgetIfUnused(name) }
                } catch {
                    bus.logger.debug("service not restored", metadata: [LogKeys.service: "\(name)", LogKeys.error: "\(error.message)"])
                    if !isSoughtFurther(service, error, begin, path) { return }
                }
                await bus.pause(backoff.next())
            }
        }
    }

    /// Whether a service that was not found is looked for again. An error of a path that is lost meanwhile says nothing of the service.
    private func isSoughtFurther(_ service: RemoteService, _ error: QiError, _ begin: NIODeadline, _ path: Connection?) -> Bool {
        guard let user, table.services[service.name] === service else { return false }
        guard path === directory.connection else { return true }
        switch user.verdict(on: error, of: service, soughtSince: begin) {
        case .lookAgain: return true
        case .wait: return false
        case .gone(let error):
            giveUp(service.name, error)
            return false
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
        let (services, seekers) = table.ended()
        for service in services {
            service.stopExpecting()
            service.object.end(error)
        }
        for seeker in seekers { seeker(.failure(error)) }
    }
}
