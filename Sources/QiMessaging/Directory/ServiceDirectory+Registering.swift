import Glibc
import Logging
import NIOCore
import QiWire

/// Services coming and going (wire reference §12). On a member board the master gives the ids: a registration goes there first.
extension ServiceDirectory {
    /// Takes a service in, not ready yet. `completion` runs exactly once: at once, or when the master has answered.
    ///
    /// - Parameters:
    ///   - holder: whose its name and id are, should this directory be restarted.
    ///   - caller: the principal outside that registers it, for a master.
    func register(
        _ info: ServiceInfo, owner: DirectoryTable.Owner, holder: DirectoryTable.Holder, for caller: RelayedCaller? = nil,
        completion: @escaping (Result<UInt32, QiError>) -> Void
    ) {
        do throws(QiError) {
            // The master was told of it before.
            if table.isKept(info.name, for: holder) { return completion(.success(try enter(info, owner: owner, holder: holder))) }
            if let hosting {
                try table.check(info, owner: owner, holder: holder)
                return hosting.register(info) { [self] result in
                    completion(result.flatMap { registered(info, with: hosting, at: $0, owner: owner, holder: holder) })
                }
            }
            guard let master else { return completion(.success(try enter(info, owner: owner, holder: holder))) }
            try table.check(info, owner: owner, holder: holder)
            var wished = info
            wished.serviceID = table.wish(for: info, of: holder) ?? 0
            master.register(wished, for: caller) { [self] result in
                completion(result.flatMap { registered(info, at: $0, owner: owner, holder: holder) })
            }
        } catch {
            completion(.failure(error))
        }
    }

    /// The master knows the service: so do we, unless its owner has gone meanwhile.
    private func registered(
        _ info: ServiceInfo, at id: UInt32, owner: DirectoryTable.Owner, holder: DirectoryTable.Holder
    ) -> Result<UInt32, QiError> {
        do throws(QiError) {
            if case .connection(let connection) = owner, bus.connection(connection) == nil {
                throw QiError(.disconnected, "the registering connection is gone")
            }
            return .success(try enter(info, owner: owner, holder: holder, assigned: id))
        } catch {
            master?.unregister(id, isOrderly: true)
            return .failure(error)
        }
    }

    /// A device knows the service: so do we, unless its owner has gone meanwhile.
    private func registered(
        _ info: ServiceInfo, with hosting: any ServiceHosting, at place: HostingTable.Place, owner: DirectoryTable.Owner,
        holder: DirectoryTable.Holder
    ) -> Result<UInt32, QiError> {
        do throws(QiError) {
            if case .connection(let connection) = owner, bus.connection(connection) == nil {
                throw QiError(.disconnected, "the registering connection is gone")
            }
            var info = info
            // The id that it had elsewhere is none of this directory's.
            info.serviceID = 0
            let id = try enter(info, owner: owner, holder: holder)
            hosting.entered(id, info.name, at: place)
            return .success(id)
        } catch {
            hosting.takeBack(place)
            return .failure(error)
        }
    }

    func enter(
        _ info: ServiceInfo, owner: DirectoryTable.Owner, holder: DirectoryTable.Holder, assigned: UInt32? = nil
    ) throws(QiError) -> UInt32 {
        let before = table.entry(named: info.name)?.owner
        let id = try table.register(info, owner: owner, holder: holder, assigned: assigned)
        if case .away(let connection)? = before { tookUp(from: connection) }
        if let entry = table.entries[id] { journal?.append(.registered(DirectoryJournal.Registration(entry.info, entry.holder))) }
        bus.logger.debug("service registered", metadata: [LogKeys.service: "\(info.name)", LogKeys.serviceID: "\(id)"])
        return id
    }

    /// Registers an object of this process, ready at once.
    nonisolated(nonsending) func register(_ object: LocalObject, as name: String) async throws(QiError) -> UInt32 {
        try await Self.result { register(object, as: name, completion: $0) }
    }

    /// As above; `completion` runs exactly once, at once where there is no master to ask.
    func register(_ object: LocalObject, as name: String, completion: @escaping (Result<UInt32, QiError>) -> Void) {
        let info = ServiceInfo(
            name: name, machineID: machineID, processID: UInt32(bitPattern: getpid()), endpoints: [], sessionID: sessionID,
            objectUID: object.uid.bytes)
        register(info, owner: .process, holder: .process) { [self] result in
            guard case .success(let id) = result else { return completion(result) }
            locals[id] = object
            InProcessObjects.add(object.object, sessionID: sessionID, serviceID: id)
            ready(id, owner: .process) { completion($0.map { id }) }
        }
    }

    /// What `start` completes with. For values that may leave the loop.
    private static nonisolated(nonsending) func result<T: Sendable>(
        _ start: (@escaping (Result<T, QiError>) -> Void) -> Void
    ) async throws(QiError) -> T {
        let result: Result<T, QiError> = await withUnsafeContinuation { continuation in
            start { continuation.resume(returning: $0) }
        }
        return try result.get()
    }

    func ready(_ id: UInt32, owner: DirectoryTable.Owner, completion: @escaping (Result<Void, QiError>) -> Void) {
        let here: (Result<Void, QiError>) -> Void = { [self] result in
            do throws(QiError) {
                try result.get()
                let isKept = table.entries[id]?.isKept == true
                let info = try table.ready(id, owner: owner)
                if isKept { cameBack(id) } else { announce(WellKnownActions.serviceAdded, id, info.name) }
                returned(info.name)
                completion(.success(()))
            } catch {
                completion(.failure(error))
            }
        }
        if let hosting, table.entries[id]?.owner == owner, table.entries[id]?.isReady == false {
            return hosting.ready(id) { [self] result in
                here(result)
                // Its owner was told that it is not registered.
                if case .failure = result { removed(id, of: owner) }
            }
        }
        if table.entries[id]?.isKept == true { return here(.success(())) }
        guard let master, table.entries[id]?.owner == owner, table.entries[id]?.isReady == false else { return here(.success(())) }
        master.ready(id, completion: here)
    }

    /// - Parameter isOrderly: whether its host wants it gone, and has not been lost.
    func unregister(_ id: UInt32, owner: DirectoryTable.Owner, isOrderly: Bool = true) throws(QiError) {
        removed(try table.unregister(id, owner: owner), isOrderly: isOrderly)
    }

    func update(_ info: ServiceInfo, owner: DirectoryTable.Owner) throws(QiError) {
        try table.update(info, owner: owner)
        master?.updated(info.serviceID)
    }

    /// Makes a service reachable that no list shows.
    func registerHidden(_ service: HiddenService) {
        guard let id = lookUpIDs.takeHidden() else {
            return bus.logger.error("no id is left for a hidden service", metadata: [LogKeys.service: "\(service.name)"])
        }
        hidden[service.name] = (id, service)
    }

    func onChange(_ observation: ServicesObservation, _ changed: @escaping ([String]) -> Void) {
        observations[observation] = [WellKnownActions.serviceAdded, WellKnownActions.serviceRemoved].map { signal in
            let token = object.addSink(to: signal) { [weak self] _, _, _, _ in
                if let self { changed(table.ready.map(\.info.name)) }
            }
            return (signal, token)
        }
        changed(table.ready.map(\.info.name))
    }

    func stopObserving(_ observation: ServicesObservation) {
        for (signal, token) in observations.removeValue(forKey: observation) ?? [] { object.removeSink(token, from: signal) }
    }

    // MARK: - Going

    /// All that a connection had registered goes with it.
    func removeAll(of connection: Connection) {
        for entry in table.removeAll(of: .connection(connection.id)) { removed(entry, isOrderly: false) }
    }

    /// A service is taken away that its owner did not take away; nothing where that has gone already.
    func removed(_ id: UInt32, of owner: DirectoryTable.Owner) {
        guard table.entries[id]?.owner == owner else { return }
        do throws(QiError) { try unregister(id, owner: owner) } catch {
            bus.logger.error("a service could not be taken away", metadata: [LogKeys.serviceID: "\(id)", LogKeys.error: "\(error.message)"])
        }
    }

    func removed(_ entry: DirectoryTable.Entry, isOrderly: Bool) {
        let id = entry.info.serviceID
        // The directory ends, not the service: it is still there when this one comes back, and nobody is told of an end.
        let isOver = isOrderly || !bus.isShutDown && stopping == nil
        if isOver {
            journal?.append(.removed(id))
            master?.unregister(id, isOrderly: isOrderly)
            hosting?.left(id)
            if isOrderly { tellUnregistered(id, entry.info.name) }
        }
        if locals.removeValue(forKey: id) != nil { InProcessObjects.remove(sessionID: sessionID, serviceID: id) }
        switch forwards.removeValue(forKey: id) {
        case .ready(let object): object.end(QiError(.notFound, "the service was unregistered"))
        case .describing(let waiting):
            for handler in waiting {
                handler(.failure(QiError(.notFound, "Cannot find service '\(entry.info.name)' in index")))
            }
        case nil: break
        }
        for connection in connections.values { connection.unbind(service: id) }
        if isOver { announce(WellKnownActions.serviceRemoved, id, entry.info.name) }
        // It may have stood before one of that name.
        if isOver { enterUpstream(entry.info.name) }
    }

    /// Tells a change to all subscribers that may know of it, or to `recipients` only.
    ///
    /// - Parameters:
    ///   - others: connections that are told later.
    ///   - isInside: whether it is nothing for those outside.
    func announce(
        _ signal: UInt32, _ id: UInt32, _ name: String, only recipients: [Connection]? = nil, except others: [Connection] = [],
        isInside: Bool = false
    ) {
        let left = Set(others.map(ObjectIdentifier.init))
        var payload = ByteBuffer()
        payload.writeQiUInt32(id)
        payload.writeQiString(QiString(name))
        for object in [object, guestObject] {
            object.subscriptions.emit(
                signal, payload, flags: [], signature: nil, only: recipients,
                hiddenFrom: recipients != nil
                    ? nil : { [self] in isInside && $0.isOutside || left.contains(ObjectIdentifier($0)) || !maySee(name, on: $0) })
        }
    }
}
