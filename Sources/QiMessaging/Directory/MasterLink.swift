import Logging
import NIOCore
import QiWire

/// A member board's way to its master directory: registers the board's services there, and mirrors what the master lists. Comes back
/// by itself after a loss, and then registers everything again under the old ids. Confined to the bus loop.
final class MasterLink: DirectoryFollowing {
    let bus: Bus
    private(set) weak var directory: ServiceDirectory?
    let follower: DirectoryFollower
    /// Services that are reached through us alone.
    private let services: RemoteServices

    /// What the directory of a robot's first board is called. A gateway's is called otherwise.
    static let masterName = "the master directory"
    var name: String { follower.name }

    /// How long a registration waits for a master that is away.
    static let registrationTime = TimeAmount.seconds(10)

    /// - Parameters:
    ///   - name: what errors and logs call the directory there.
    ///   - isTold: whether the log says that it went or came.
    init(bus: Bus, endpoint: Endpoint, directory: ServiceDirectory, name: String = masterName, isTold: Bool = true) {
        self.bus = bus
        self.directory = directory
        follower = DirectoryFollower(bus: bus, endpoint: endpoint, name: name, limits: directory.limits, isTold: isTold)
        services = RemoteServices(
            of: follower.remote, sameBy: .object, lookUpTime: .seconds(10), pauses: (first: .milliseconds(250), most: .seconds(5)),
            awaitsSubscriptions: false)
        services.begin(for: self)
    }

    /// Connects to the master, now and after every loss.
    func join() { follower.join(for: self) }

    /// Follows it no more.
    func end(_ error: QiError) {
        follower.end(error)
        services.end(error)
    }

    /// The master's directory, on every connection there is in turn.
    var master: RemoteObject? { follower.directory }

    /// Why the master cannot be used now; nil while it can.
    var away: QiError? { follower.away }

    var listed: [ServiceInfo] { follower.mirror.services.filter { !isOwn($0.serviceID) } }

    func service(named name: String) -> ServiceInfo? { follower.mirror.service(named: name) }

    /// Asks the master for a service that it is not known to list yet. `completion` runs exactly once, with nil when there is none.
    func ask(for name: String, completion: @escaping (ServiceInfo?) -> Void) {
        guard follower.connection != nil, !bus.isShutDown else { return completion(nil) }
        bus.enqueue { [self] in
            do throws(QiError) {
                completion(try await follower.ask(for: name, until: .now() + .seconds(10)))
            } catch {
                bus.logger.debug(
                    "a directory was asked in vain",
                    metadata: [LogKeys.peer: "\(self.name)", LogKeys.service: "\(name)", LogKeys.error: "\(error.message)"])
                completion(nil)
            }
        }
    }

    // MARK: - DirectoryFollowing

    func isOwn(_ id: UInt32) -> Bool { directory?.table.entries[id] != nil }

    nonisolated(nonsending) func reached(_ master: RemoteObject) async throws(QiError) { try await registerAgain(at: master) }

    func changed(_ changes: [ServiceMirror.Change], isOrderly: Bool) { directory?.apply(changes, isOrderly: isOrderly) }

    /// Its board has joined the master after us.
    func announced(_ id: UInt32) {
        if let name = follower.mirror.service(id)?.name { services.restore(name) }
    }

    func joined(on connection: Connection) {
        if let name = directory?.boards?.name { tellName(name, on: connection) }
        // Those that changed were removed.
        services.restoreAll()
    }

    func left(_ error: QiError) {}

    /// The master reaches this board's services on this connection, for those who cannot come here themselves.
    func receiver(for address: ObjectAddress, on connection: Connection) -> (any ObjectReceiver)? {
        directory?.receiver(for: address, on: connection)
    }

    func closed(_ connection: Connection) {
        for object in directory?.locals.values.map({ $0 }) ?? [] { object.closed(connection) }
    }

    /// A service that this board's clients cannot reach themselves.
    func object(of info: ServiceInfo, completion: @escaping (Result<RemoteObject, QiError>) -> Void) {
        // Look-ups go on while the master is away.
        if let known = services[info.name], known.info.serviceID == info.serviceID { return completion(.success(known.object)) }
        services.seek(info.name) { found in
            completion(
                found.flatMap { service in
                    if service.info.serviceID == info.serviceID { return .success(service.object) }
                    return .failure(QiError(.offline, "\(info.name) came or went just now"))
                })
        }
    }

    func removed(_ name: String, _ id: UInt32) {
        if services[name]?.info.serviceID == id { services.giveUp(name, QiError(.notFound, "Service removed")) }
    }
}

/// Services reached through us: on the connection to the master, which forwards.
extension MasterLink: RemoteServicesUser {
    nonisolated(nonsending) func info(of name: String, until deadline: NIODeadline) async throws(QiError) -> ServiceInfo {
        guard let info = follower.mirror.service(named: name) else { throw QiError(.notFound, "no service \"\(name)\"") }
        return info
    }

    nonisolated(nonsending) func connection(for info: ServiceInfo, until deadline: NIODeadline) async throws(QiError) -> Connection {
        guard let connection = follower.connection else { throw away ?? QiError(.offline, "\(name) is away") }
        return connection
    }

    func object(named name: String, of info: ServiceInfo, on connection: Connection, _ metaObject: MetaObject) -> RemoteObject {
        RemoteObject(bus: bus, name: name, connection: connection, address: .main(ofService: info.serviceID), metaObject: metaObject)
    }

    func mayBeFound(_ name: String) -> Bool { follower.connection != nil && follower.mirror.service(named: name) != nil }

    /// Its board may join the master after us. One that the master refuses is tried again when it is announced.
    func verdict(on error: QiError, of service: RemoteService, soughtSince begin: NIODeadline) -> ServiceVerdict {
        [.denied, .invalid, .unsupported].contains(error.code) ? .wait : .lookAgain
    }

    func gone(_ name: String, _ service: RemoteService, _ error: QiError) {
        if let listed = follower.mirror.service(named: name), listed.isSame(as: service.info) { follower.forget(listed.serviceID) }
    }
}
