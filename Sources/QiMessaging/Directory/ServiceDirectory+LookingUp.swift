import NIOCore
import QiWire

/// Finding services for a connection, and making them reachable on it (wire reference §19.1).
extension ServiceDirectory {
    /// Answers service(name) for a connection, and makes the service reachable on it.
    func lookUp(_ name: String, for connection: Connection, completion: @escaping (Result<ServiceInfo, QiError>) -> Void) {
        // Before anything looks for it.
        guard name.utf8.count <= ServiceInfo.longestName else {
            return completion(.failure(QiError(.invalid, "no service has a name of \(name.utf8.count) bytes")))
        }
        if name == "ServiceDirectory" { return completion(.success(ownInfo(for: connection))) }
        // First, or whoever registers that name would be taken for it by those who may use it.
        if let (id, service) = hidden[name], service.mayUse(connection) {
            connection.bind(service.object, at: .main(ofService: id))
            return completion(.success(answerInfo(name: name, id: id, sessionID: sessionID, uid: service.object.uid.bytes, for: connection)))
        }
        if let refusal = refusal(of: name, for: connection) { return completion(.failure(refusal)) }
        if let entry = table.find(name) { return answer(entry, for: connection, completion) }
        if table.isAwaited(name) {
            return awaitReturn(of: name, for: connection) { [self] isBack in
                if isBack, let entry = table.find(name) { return answer(entry, for: connection, completion) }
                completion(.failure(Self.notFound(name)))
            }
        }
        if let master, !connection.isOutside {
            if let info = master.service(named: name) { return answer(info, of: master, for: connection, completion) }
            if DirectoryTable.isValid(name: name) {
                return master.ask(for: name) { [self] info in
                    guard let info else { return completion(.failure(Self.notFound(name))) }
                    answer(info, of: master, for: connection, completion)
                }
            }
        }
        guard let resolver = resolver(of: name), !connection.isOutside || resolver.isForOutside else {
            return completion(.failure(Self.notFound(name)))
        }
        lookUp(name, by: resolver, for: connection, completion)
    }

    /// Finds a service that is reached through another directory, and notes that `connection` uses it.
    private func lookUp(
        _ name: String, by resolver: any NameResolver, for connection: Connection,
        _ completion: @escaping (Result<ServiceInfo, QiError>) -> Void
    ) {
        guard (lookUps.values.count { $0.connections.contains { $0 === connection } }) < connection.limits.maximumLookUps else {
            return completion(.failure(QiError(.limit, "too many services behind gateways are in use on this connection")))
        }
        resolver.resolve(name) { [self] result in
            switch result {
            case .failure(let error):
                expect(name, for: connection)
                completion(.failure(connection.isOutside ? resolver.concealing(error, name) : error))
            case .success(let service): completion(found(name, service, for: connection))
            }
        }
    }

    /// What finds services of such a name.
    func resolver(of name: String) -> (any NameResolver)? {
        if let resolver, resolver.handles(name) { return resolver }
        if let upstream, upstream.handles(name) { return upstream }
        return nil
    }

    static func notFound(_ name: String) -> QiError { QiError(.notFound, "Cannot find service '\(name)' in index") }

    private func found(_ name: String, _ service: ResolvedService, for connection: Connection) -> Result<ServiceInfo, QiError> {
        if connection.isClosed {
            // The resolver has noted the use.
            if lookUps[name] == nil { resolver(of: name)?.released(name) }
            return .failure(QiError(.disconnected, "the asking connection is gone"))
        }
        // Now that its members are known there may be none for this asker.
        if let refusal = refusal(of: name, with: service.object.memberTable?.metaObject, for: connection) {
            if lookUps[name] == nil { resolver(of: name)?.released(name) }
            return .failure(refusal)
        }
        if let known = lookUps[name], known.service.object !== service.object { retire(name) }
        guard var lookUp = lookUps[name] ?? lookUpID(name).map({ LookUp(id: $0, service: service) }) else {
            resolver(of: name)?.released(name)
            return .failure(QiError(.limit, "this directory has given out all ids of services behind gateways: restart it"))
        }
        lookUp.service = service
        if !lookUp.connections.contains(where: { $0 === connection }) { lookUp.connections.append(connection) }
        lookUps[name] = lookUp
        lookUpNames[lookUp.id] = name
        connection.bind(service.object, at: .main(ofService: lookUp.id))
        let told = upstreamEntry(name)?.info ?? service.info
        return .success(answerInfo(name: name, id: lookUp.id, sessionID: told.sessionID, uid: told.objectUID, for: connection))
    }

    /// The id that a name behind a gateway has here; nil when all ids were given out.
    func lookUpID(_ name: String) -> UInt32? {
        lookUps[name]?.id ?? mirroredIDs[name] ?? upstreamEntry(name)?.info.serviceID ?? lookUpIDs.id(of: name)
    }

    /// A service behind a gateway is not what it was: whoever looked it up is told, and must ask again.
    func retire(_ name: String) {
        guard let lookUp = lookUps.removeValue(forKey: name) else { return }
        lookUpNames[lookUp.id] = nil
        for connection in lookUp.connections { connection.unbind(.main(ofService: lookUp.id)) }
        if let entry = upstreamEntry(name) { return leave(entry, usedBy: lookUp.connections) }
        // An id means one object for ever: the name's next one is another.
        lookUpIDs.retire(name)
        let isListed = mirroredIDs.removeValue(forKey: name) != nil
        announce(WellKnownActions.serviceRemoved, lookUp.id, name, only: isListed ? nil : lookUp.connections)
        for connection in lookUp.connections { expect(name, for: connection) }
    }

    func forgetIfUnused(_ name: String) {
        guard let lookUp = lookUps[name], lookUp.connections.isEmpty else { return }
        lookUps[name] = nil
        lookUpNames[lookUp.id] = nil
        resolver(of: name)?.released(name)
    }

    private func answer(
        _ entry: DirectoryTable.Entry, for connection: Connection, _ completion: @escaping (Result<ServiceInfo, QiError>) -> Void
    ) {
        let id = entry.info.serviceID
        if let local = locals[id] {
            connection.bind(local, at: .main(ofService: id))
            return completion(.success(throughUs(entry, for: connection)))
        }
        if entry.owner == .upstream, let upstream { return lookUp(entry.info.name, by: upstream, for: connection, completion) }
        guard mustForward(entry, for: connection) else { return completion(.success(direct(entry, for: connection))) }
        forward(entry) { [self] result in
            switch result {
            case .failure(let error): completion(.failure(error))
            case .success(let object):
                if connection.isClosed { return completion(.failure(QiError(.disconnected, "the asking connection is gone"))) }
                // Now that its members are known there may be none for this asker.
                if let refusal = refusal(of: entry.info.name, for: connection) { return completion(.failure(refusal)) }
                connection.bind(object, at: .main(ofService: id))
                completion(.success(throughUs(entry, for: connection)))
            }
        }
    }

    /// Answers services() for a connection.
    func list(for connection: Connection, completion: @escaping (Result<[ServiceInfo], QiError>) -> Void) {
        let own = services(for: connection)
        // What a directory beside this one lists is in the table.
        guard let resolver, !connection.isOutside || resolver.isForOutside else { return completion(.success(own)) }
        resolver.list { [self] result in
            completion(
                result.map { listed in
                    own
                        + listed.filter { $0.serviceID != 1 && maySee($0.name, on: connection) }.compactMap { info in
                            mirroredID(info.name).map { id in
                                answerInfo(
                                    name: info.name, id: id, sessionID: info.sessionID, uid: info.objectUID, for: connection)
                            }
                        }
                })
        }
    }

    /// The id under which a name there is listed here. Nil for one that crashes libqi clients (reference §28), and beyond the bound:
    /// the names are another device's.
    private func mirroredID(_ name: String) -> UInt32? {
        if let known = mirroredIDs[name] { return known }
        guard DirectoryTable.isValid(name: name), mirroredIDs.count < limits.maximumLookUps else { return nil }
        let id = lookUpID(name)
        mirroredIDs[name] = id
        return id
    }

    /// A service came in the directory that this one presents.
    func mirrored(added name: String) {
        if upstream != nil { return enterUpstream(name) }
        if let id = mirroredID(name) { announce(WellKnownActions.serviceAdded, id, name) }
    }

    /// A service went there. Connections that use it are told by ``retire(_:)``, when it is gone for good.
    func mirrored(removed name: String) {
        if upstream != nil { return leaveUpstream(name) }
        guard let id = mirroredIDs.removeValue(forKey: name) else { return }
        announce(WellKnownActions.serviceRemoved, id, name, except: lookUps[name]?.connections ?? [])
    }

    /// All ready services as this connection may know them.
    func services(for connection: Connection) -> [ServiceInfo] {
        let own = [ownInfo(for: connection)]
            + table.ready.filter { maySee($0.info.name, on: connection) }.map { entry in
                locals[entry.info.serviceID] != nil || mustForward(entry, for: connection)
                    ? throughUs(entry, for: connection) : direct(entry, for: connection)
            }
        guard let master, !connection.isOutside else { return own }
        return own + master.listed.filter { maySee($0.name, on: connection) }.map { seen($0, for: connection) }
    }
}
