import Logging
import NIOCore
import QiWire

/// The services of a directory beside this one, a robot's NAOqi: listed here under ids of ours, and reached through us.
///
/// ```
///              listed there                        gone there, in use here
///   (no entry) ────────────▶ ready ────────────────────────────────────▶ suspended
///        ▲                    │ ▲                                            │ │
///        │   gone, not in use │ └──────────── the same service is back ──────┘ │
///        └────────────────────┴──────── another service, or not back in time ──┘
/// ```
/// An entry keeps its id, and what is told of it, for as long as it stands for the same service (``ServiceIdentity/Rule/interface``); the
/// next service of that name gets another id. A service that was registered here stands before one of its name there.
extension ServiceDirectory {
    /// The entry of a service of that directory.
    func upstreamEntry(_ name: String) -> DirectoryTable.Entry? { table.entry(named: name).flatMap { $0.owner == .upstream ? $0 : nil } }

    /// The directory there lists a service, or the one that was away is back.
    func enterUpstream(_ name: String) {
        guard !bus.isShutDown, let listed = upstream?.listed(name) else { return }
        do throws(QiError) {
            var id = upstreamEntry(name)?.info.serviceID
            if id == nil {
                var info = listed
                // Reached through us, and under an id of ours.
                (info.endpoints, info.serviceID) = ([], 0)
                id = try enter(info, owner: .upstream, holder: .upstream)
            }
            guard let id, table.entries[id]?.isReady == false else { return }
            _ = try table.ready(id, owner: .upstream)
            announce(WellKnownActions.serviceAdded, id, name)
            returned(name)
        } catch {
            bus.logger.notice(
                "a service of the directory beside this one is not shown here",
                metadata: [LogKeys.service: "\(name)", LogKeys.error: "\(error.message)"])
        }
    }

    /// Enters all that is listed there and not here.
    func enterAllUpstream() {
        for info in upstream?.listed ?? [] where table.entry(named: info.name) == nil { enterUpstream(info.name) }
    }

    /// The directory there does not list a service any more. Connections that use it are not told: it may come back to them.
    func leaveUpstream(_ name: String) {
        guard let entry = upstreamEntry(name) else { return }
        let id = entry.info.serviceID
        guard let users = lookUps[name]?.connections, !users.isEmpty else { return leave(entry, usedBy: []) }
        guard entry.isReady else { return }
        table.suspend(id)
        announce(WellKnownActions.serviceRemoved, id, name, except: users)
    }

    /// A service there is gone for good.
    ///
    /// - Parameter users: who looked it up, and is told also of one that was suspended.
    func leave(_ entry: DirectoryTable.Entry, usedBy users: [Connection]) {
        let (id, name) = (entry.info.serviceID, entry.info.name)
        guard !bus.isShutDown, (try? table.unregister(id, owner: .upstream)) != nil else { return }
        journal?.append(.removed(id))
        tellUnregistered(id, name)
        for connection in connections.values { connection.unbind(service: id) }
        announce(WellKnownActions.serviceRemoved, id, name, only: entry.isReady ? nil : users)
    }

    /// What stands for a service there that was not looked up on this connection: its id is known from a list.
    func upstreamReceiver(of entry: DirectoryTable.Entry, at address: ObjectAddress, on connection: Connection) -> any ObjectReceiver {
        let name = entry.info.name
        if let known = lookUps[name], known.connections.contains(where: { $0 === connection }) { return known.service.object }
        let awaited = AwaitedObject()
        connection.bind(awaited, at: address)
        lookUp(name, for: connection) { [self] result in
            switch result {
            case .success:
                guard let object = lookUps[name]?.service.object, !connection.isClosed else {
                    return awaited.end(.failure(QiError(.disconnected, "the asking connection is gone")))
                }
                connection.bind(object, at: address)
                awaited.end(.success(object))
            case .failure(let error):
                connection.unbind(address)
                awaited.end(.failure(error))
            }
        }
        return awaited
    }
}
