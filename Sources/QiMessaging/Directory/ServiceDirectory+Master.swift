import Logging
import NIOCore
import QiWire

/// A member board's directory: lists what the master lists, under the same ids, and its own services there.
extension ServiceDirectory {
    /// Where other boards reach this directory: its addresses that are not loopback.
    var internalEndpoints: [String] {
        endpoints.filter { text in
            guard let endpoint = Endpoint(text), case .tcp = endpoint.kind else { return false }
            return !endpoint.isLoopback
        }
    }

    /// A service of the master's list as one of this board's clients may use it: straight, on an address that leads there from here,
    /// else through us.
    func seen(_ info: ServiceInfo, for connection: Connection) -> ServiceInfo {
        let reachable = reachable(info)
        if reachable.isEmpty {
            return answerInfo(
                name: info.name, id: info.serviceID, sessionID: info.sessionID, uid: info.objectUID, for: connection)
        }
        var info = info
        info.endpoints = reachable
        return info
    }

    private func reachable(_ info: ServiceInfo) -> [String] {
        info.endpoints.filter { text in
            guard let endpoint = Endpoint(text) else { return false }
            switch endpoint.kind {
            case .tcp, .tls: return !endpoint.isLoopback || info.machineID == machineID
            case .unix, .relative, .other: return false
            }
        }
    }

    func answer(
        _ info: ServiceInfo, of master: MasterLink, for connection: Connection,
        _ completion: @escaping (Result<ServiceInfo, QiError>) -> Void
    ) {
        guard reachable(info).isEmpty else { return completion(.success(seen(info, for: connection))) }
        master.object(of: info) { [self] result in
            switch result {
            case .failure(let error): completion(.failure(error))
            case .success(let object):
                if connection.isClosed { return completion(.failure(QiError(.disconnected, "the asking connection is gone"))) }
                connection.bind(object, at: .main(ofService: info.serviceID))
                completion(.success(seen(info, for: connection)))
            }
        }
    }

    func nameBoard(_ name: String) {
        if let boards {
            boards.name = name
        } else {
            let names = BoardNames(machineID: machineID, name: name)
            boards = names
            if master == nil {
                registerHidden(HiddenService(name: BoardNames.serviceName, object: names.makeObject(on: bus)) { !$0.isOutside })
            }
        }
        if let master, let connection = master.follower.connection { master.tellName(name, on: connection) }
    }

    /// Tells what changed in the master's list, which those outside are not shown.
    func apply(_ changes: [ServiceMirror.Change], isOrderly: Bool) {
        for change in changes {
            switch change {
            case .added(let id, let name): announce(WellKnownActions.serviceAdded, id, name, isInside: true)
            case .removed(let id, let name):
                master?.removed(name, id)
                for connection in connections.values { connection.unbind(service: id) }
                if isOrderly { tellUnregistered(id, name) }
                announce(WellKnownActions.serviceRemoved, id, name, isInside: true)
            }
        }
    }

    /// The master has given the id of a service away. Its owner has bound it to that id and has to register anew, as after a
    /// restart of this directory.
    func evict(_ entry: DirectoryTable.Entry, _ error: QiError) {
        switch entry.owner {
        case .connection(let id): bus.connection(id)?.close(.setUpFailed(error))
        case .away(let id): forget(id)
        case .process:
            bus.logger.error(
                "a service of this process lost its id", metadata: [LogKeys.service: "\(entry.info.name)", LogKeys.error: "\(error.message)"])
        // It has no master: a member board has no directory beside it.
        case .upstream: break
        }
    }
}
