import NIOCore
import QiWire

/// Services that others reach only through us: on their owner's own connection (wire reference §19.1).
extension ServiceDirectory {
    /// Whether this asker reaches the owner only through us (reference §19.1 b).
    func mustForward(_ entry: DirectoryTable.Entry, for connection: Connection) -> Bool {
        if connection.isOutside || entry.owner == .upstream { return true }
        let absolute = entry.info.endpoints.compactMap(Endpoint.init).filter { endpoint in
            switch endpoint.kind {
            case .tcp, .tls, .unix: true
            // The asker came by such an endpoint itself, and can dial another.
            case .other: endpoint.scheme == connection.origin.scheme
            case .relative: false
            }
        }
        if absolute.contains(where: { !$0.isLoopback }) { return false }
        if absolute.isEmpty { return true }
        guard let owner = ownerConnection(entry) else { return false }
        // A neighbour that goes by another machine id (another user's home, a container) is reached on its loopback endpoints
        // only by those of the same id, and the asker's is not known.
        if owner.origin.isThisHost, entry.info.machineID != machineID { return true }
        return !owner.origin.isSameHost(as: connection.origin)
    }

    func ownerConnection(_ entry: DirectoryTable.Entry) -> Connection? {
        guard case .connection(let id) = entry.owner else { return nil }
        return bus.connection(id)
    }

    /// The object through which others reach a service on its owner's own directory connection.
    func forward(_ entry: DirectoryTable.Entry, completion: @escaping (Result<RemoteObject, QiError>) -> Void) {
        let id = entry.info.serviceID
        switch forwards[id] {
        case .ready(let object): return completion(.success(object))
        case .describing(let waiting):
            forwards[id] = .describing(waiting + [completion])
            return
        case nil: break
        }
        guard let owner = ownerConnection(entry), !owner.isClosed else {
            if case .away = entry.owner { return completion(.failure(Self.away(entry.info.name))) }
            return completion(.failure(QiError(.offline, "the owner of '\(entry.info.name)' is gone")))
        }
        forwards[id] = .describing([completion])
        owner.describe(.main(ofService: id), name: entry.info.name) { [self] result in
            // Unregistered meanwhile: whoever waited was told.
            guard case .describing(let waiting) = forwards[id] else { return }
            let object = result.map {
                RemoteObject(
                    bus: bus, name: entry.info.name, connection: owner, address: .main(ofService: id), metaObject: $0)
            }
            forwards[id] = (try? object.get()).map { .ready($0) }
            for handler in waiting { handler(object) }
        }
    }

    /// A service that nobody looked up on this connection: whoever comes from another board has its id from the master, and comes
    /// here because the service itself listens to its own machine only.
    func forwarder(for address: ObjectAddress, on connection: Connection) -> (any ObjectReceiver)? {
        // Ready or not: whoever has the id from the master may be faster than the master's word to us that it is.
        guard let entry = table.entries[address.service] else { return nil }
        return forwarder(to: entry, at: address, on: connection)
    }

    /// What a device calls that hosts services of this directory: the service that has `id` here, which has another one there.
    func receiver(of id: UInt32, at address: ObjectAddress, on connection: Connection) -> (any ObjectReceiver)? {
        guard let local = locals[id] else { return table.entries[id].map { forwarder(to: $0, at: address, on: connection) } }
        connection.bind(local, at: address)
        return local
    }

    /// As above, for a service that is known under another id on `connection` than here.
    func forwarder(to entry: DirectoryTable.Entry, at address: ObjectAddress, on connection: Connection) -> any ObjectReceiver {
        if entry.owner == .upstream { return upstreamReceiver(of: entry, at: address, on: connection) }
        if case .ready(let object) = forwards[entry.info.serviceID] {
            connection.bind(object, at: address)
            return object
        }
        let awaited = AwaitedObject()
        connection.bind(awaited, at: address)
        forward(entry) { result in
            switch result {
            case .success(let object): if !connection.isClosed { connection.bind(object, at: address) }
            case .failure: connection.unbind(address)
            }
            awaited.end(result.map { $0 })
        }
        return awaited
    }
}
