import Logging
import NIOCore
import QiWire

/// This board's services in the master's list.
extension MasterLink {
    /// Registers a service there, and waits for a master that is away, or that wants to be asked later. `completion` runs exactly once,
    /// with the id there.
    ///
    /// - Parameter caller: the principal outside that registers it.
    func register(_ info: ServiceInfo, for caller: RelayedCaller?, completion: @escaping (Result<UInt32, QiError>) -> Void) {
        guard !bus.isShutDown else { return completion(.failure(QiError(.disconnected, "this node is stopping"))) }
        let deadline = NIODeadline.now() + Self.registrationTime
        bus.enqueue { [self] in
            var backoff = Backoff(first: .milliseconds(100), most: .seconds(2))
            while true {
                do throws(QiError) {
                    let master = try await follower.joined(until: deadline)
                    return completion(.success(try await register(info, for: caller, at: master)))
                } catch {
                    let pause = backoff.next(after: error)
                    guard error.isRetryable, !bus.isShutDown, NIODeadline.now() + pause < deadline else {
                        return completion(.failure(error))
                    }
                    await bus.pause(pause)
                }
            }
        }
    }

    private nonisolated(nonsending) func register(
        _ info: ServiceInfo, for caller: RelayedCaller?, at master: RemoteObject
    ) async throws(QiError) -> UInt32 {
        let connection = master.connection
        do throws(QiError) {
            let value = try await master.value(
                of: WellKnownActions.registerService, [published(info).qiValue], deadline: .now() + Self.registrationTime,
                for: connection?.relayedCallers.areTold == true ? caller : nil)
            guard let id = value.asUInt32 else { throw QiError(.invalid, "\(name) gave \"\(info.name)\" no id") }
            return id
        } catch {
            // It may have registered all the same: the end of the connection takes that back.
            if error.code == .timedOut { connection?.close(.silent(QiError(.offline, "\(name) does not answer"))) }
            throw error
        }
    }

    func ready(_ id: UInt32, completion: @escaping (Result<Void, QiError>) -> Void) {
        guard !bus.isShutDown else { return completion(.failure(QiError(.disconnected, "this node is stopping"))) }
        let deadline = NIODeadline.now() + Self.registrationTime
        bus.enqueue { [self] in
            do throws(QiError) {
                let master = try await follower.joined(until: deadline)
                _ = try await master.value(of: WellKnownActions.serviceReady, [.uint32(id)], deadline: deadline)
                completion(.success(()))
            } catch {
                completion(.failure(error))
            }
        }
    }

    /// Takes a service away there. A master that is away forgets it by itself.
    ///
    /// - Parameter isOrderly: whether its host wants it gone, so that its users are told at once.
    func unregister(_ id: UInt32, isOrderly: Bool) {
        if !isOrderly, let departures = follower.departures, departures.connection != nil {
            tell(departures, Departures.lost, .uint32(id))
        } else if let master {
            tell(master, WellKnownActions.unregisterService, .uint32(id))
        }
    }

    /// A service has other addresses now.
    func updated(_ id: UInt32) {
        guard let entry = directory?.table.entries[id] else { return }
        if let master { tell(master, WellKnownActions.updateServiceInfo, published(entry.info).qiValue) }
    }

    private func tell(_ object: RemoteObject, _ action: UInt32, _ argument: QiValue) {
        guard object.connection != nil else { return }
        bus.enqueue { [self] in
            do throws(QiError) {
                _ = try await object.value(of: action, [argument], deadline: .now() + Self.registrationTime)
            } catch {
                bus.logger.debug("a directory was not told", metadata: [LogKeys.peer: "\(name)", LogKeys.error: "\(error.message)"])
            }
        }
    }

    /// A service as the other boards need it: its own addresses that they reach, else this directory's, which forwards.
    private func published(_ info: ServiceInfo) -> ServiceInfo {
        var info = info
        let own = info.endpoints.filter { text in
            guard let endpoint = Endpoint(text) else { return false }
            switch endpoint.kind {
            case .tcp, .tls: return !endpoint.isLoopback
            case .unix, .relative, .other: return false
            }
        }
        info.endpoints = own.isEmpty ? directory?.internalEndpoints ?? [] : own
        return info
    }

    // MARK: - After a loss

    /// Registers every service of this board under the id it has.
    nonisolated(nonsending) func registerAgain(at master: RemoteObject) async throws(QiError) {
        let entries = directory?.table.entries.values.sorted { $0.info.serviceID < $1.info.serviceID } ?? []
        try await registering.all(entries.map { ($0.info.serviceID, $0.owner) }, at: master)
    }

    /// The entry of a service that is still its owner's, as it is now.
    private func entry(_ service: (id: UInt32, owner: DirectoryTable.Owner)) -> DirectoryTable.Entry? {
        directory?.table.entries[service.id].flatMap { $0.owner == service.owner ? $0 : nil }
    }

    private var registering: RegisteringAgain<(id: UInt32, owner: DirectoryTable.Owner)> {
        RegisteringAgain(
            bus: bus,
            register: { [self] (service, master) async throws(QiError) in
                if let entry = entry(service) { try await registerAgain(entry, at: master) }
            },
            isWanted: { [self] service, _ in entry(service) != nil },
            isLoss: \.isRetryable,
            name: { [self] service in entry(service)?.info.name ?? "#\(service.id)" }, firstPause: .milliseconds(250),
            limit: (
                DirectoryTable.reservationTime + .seconds(10), { [self] service, error in entry(service).map { directory?.evict($0, error) } }
            ))
    }

    private nonisolated(nonsending) func registerAgain(
        _ entry: DirectoryTable.Entry, at master: RemoteObject
    ) async throws(QiError) {
        let id = entry.info.serviceID
        var caller: RelayedCaller?
        if case .connection(let connection) = entry.owner { caller = bus.connection(connection)?.peerFromOutside }
        let given = try await register(entry.info, for: caller, at: master)
        // It may have gone meanwhile.
        guard let directory, let now = directory.table.entries[id], now.owner == entry.owner else { return unregister(given, isOrderly: true) }
        guard given == id else {
            unregister(given, isOrderly: true)
            return directory.evict(
                now, QiError(.conflict, "\(name) has given the id of \"\(entry.info.name)\" to another: register it again"))
        }
        guard now.isReady else { return }
        _ = try await master.value(of: WellKnownActions.serviceReady, [.uint32(id)], deadline: .now() + Self.registrationTime)
    }
}
