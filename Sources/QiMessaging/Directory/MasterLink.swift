import Logging
import NIOCore
import QiWire

/// A member board's way to its master directory: registers the board's services there, and mirrors what the master lists. Comes back
/// by itself after a loss, and then registers everything again under the old ids. Confined to the bus loop.
final class MasterLink: DirectoryFollowing {
    let bus: Bus
    private(set) weak var directory: ServiceDirectory?
    let follower: DirectoryFollower
    /// Services that are reached through us alone, by id.
    private var objects: [UInt32: RemoteObject] = [:]

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
    }

    /// Connects to the master, now and after every loss.
    func join() { follower.join(for: self) }

    /// Follows it no more.
    func end(_ error: QiError) { follower.end(error) }

    /// The master's directory, on every connection there is in turn.
    var master: RemoteObject? { follower.directory }

    /// Why the master cannot be used now; nil while it can.
    var away: QiError? { follower.away }

    var services: [ServiceInfo] { follower.mirror.services.filter { !isOwn($0.serviceID) } }

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
        if let connection = follower.connection { restoreObject(id, on: connection) }
    }

    func joined(on connection: Connection) {
        if let name = directory?.boards?.name { tellName(name, on: connection) }
        // Those that changed were removed.
        for id in objects.keys { restoreObject(id, on: connection) }
    }

    func left(_ error: QiError) {}

    /// The master reaches this board's services on this connection, for those who cannot come here themselves.
    func receiver(for address: ObjectAddress, on connection: Connection) -> (any ObjectReceiver)? {
        directory?.receiver(for: address, on: connection)
    }

    func closed(_ connection: Connection) {
        for object in directory?.locals.values.map({ $0 }) ?? [] { object.closed(connection) }
    }

    // MARK: - Services reached through us

    /// A service that this board's clients cannot reach themselves.
    func object(of info: ServiceInfo, completion: @escaping (Result<RemoteObject, QiError>) -> Void) {
        let id = info.serviceID
        if let known = objects[id] { return completion(.success(known)) }
        guard let connection = follower.connection else { return completion(.failure(away ?? QiError(.offline, "\(name) is away"))) }
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

    /// Gives an object a path again whose service is the same as before.
    private func restoreObject(_ id: UInt32, on connection: Connection) {
        guard let object = objects[id], object.connection == nil else { return }
        connection.describe(.main(ofService: id), name: object.name) { [weak self] result in
            guard let self, objects[id] === object, object.connection == nil, !connection.isClosed else { return }
            switch result {
            case .success(object.metaObject): object.attach(to: connection, at: .main(ofService: id))
            case .success: follower.forget(id)
            // Not there yet: the master announces it.
            case .failure: break
            }
        }
    }
}
