import Logging
import NIOCore
import QiWire

/// Finding services for those outside, and finding them again.
extension GatewayUpstream: NameResolver {
    /// How long the host of a service that went may take to answer.
    private static let hostTime = TimeAmount.seconds(5)
    /// How long a look-up may take: libqi gives up after 60 s (wire reference §14).
    private static let lookUpTime = TimeAmount.seconds(20)

    var isForOutside: Bool { true }

    func handles(_ name: String) -> Bool { DirectoryTable.isValid(name: name) }

    func list(completion: @escaping (Result<[ServiceInfo], QiError>) -> Void) { completion(.success(follower.mirror.services)) }

    func resolve(_ name: String, completion: @escaping (Result<ResolvedService, QiError>) -> Void) {
        if let known = services[name], known.object.connection != nil { return completion(.success(known.resolved)) }
        guard resolving[name] == nil else {
            resolving[name]?.append(completion)
            return
        }
        guard !bus.isShutDown, !isEnded else { return completion(.failure(QiError(.disconnected, "this gateway is stopping"))) }
        resolving[name] = [completion]
        bus.enqueue { [self] in
            let result: Result<ResolvedService, QiError>
            do throws(QiError) {
                result = .success(try await find(name).resolved)
            } catch {
                result = .failure(concealing(error, name))
            }
            for handler in resolving.removeValue(forKey: name) ?? [] { handler(result) }
            forgetIfUnused(name)
        }
    }

    func released(_ name: String) { forgetIfUnused(name) }

    private func forgetIfUnused(_ name: String) {
        guard resolving[name] == nil, presented?.lookUps[name] == nil, let service = services.removeValue(forKey: name) else { return }
        service.stopExpecting()
        service.object.detach(QiError(.notFound, "nobody uses it"))
        // Its removal was kept back for those who used it.
        if follower.mirror.service(named: name) == nil { presented?.mirrored(removed: name) }
    }

    /// Nothing of the inside is told: no address, no reason.
    private func concealing(_ error: QiError, _ name: String) -> QiError {
        bus.logger.info(
            "a service was not found for somebody outside",
            metadata: [LogKeys.service: "\(name)", LogKeys.error: "\(error.message)"])
        if error.code == .notFound { return QiError(.notFound, "Cannot find service '\(name)' in index") }
        if error.isRetryable { return QiError(.offline, "\(name): \(PresentedService.away.message)") }
        return QiError(error.code, "\(name) cannot be used through this gateway, whose log says why")
    }

    // MARK: - Finding

    /// Looks a service up and connects to its host; the object is that of before where it can be.
    private nonisolated(nonsending) func find(_ name: String) async throws(QiError) -> PresentedService {
        let deadline = NIODeadline.now() + Self.lookUpTime
        let info = try await info(of: name, deadline: deadline)
        let connection = try await connection(for: info, deadline: deadline)
        let address = ObjectAddress.main(ofService: info.serviceID)
        let metaObject = try await connection.metaObject(of: address, name: name, deadline: deadline)
        guard !isEnded, !connection.isClosed, follower.mirror.service(named: name)?.serviceID == info.serviceID else {
            throw QiError(.offline, "\(name) came or went just now")
        }
        if let known = services[name] {
            if known.object.metaObject == metaObject {
                known.info = info
                if known.object.connection !== connection || known.object.address != address {
                    try await attach(known, name, to: connection, at: address)
                }
                return known
            }
            giveUp(name, QiError(.notFound, "\(name) is another service than before"))
        }
        let object = RemoteObject(bus: bus, name: name, connection: connection, address: address, metaObject: metaObject)
        let service = PresentedService(object, info)
        services[name] = service
        return service
    }

    /// What the directory says of a service. Only what it lists is asked for: it may answer also for what is not for everybody.
    private nonisolated(nonsending) func info(of name: String, deadline: NIODeadline) async throws(QiError) -> ServiceInfo {
        guard let listed = follower.mirror.service(named: name) else {
            // Who is awaited, and everybody while the directory is away, may only be late.
            if let away = follower.away { throw away }
            if let asked = try await follower.ask(for: name, until: deadline) { return asked }
            throw QiError(services[name] == nil ? .notFound : .offline, "Cannot find service '\(name)' in index")
        }
        // A service that is reached directly can be while its directory is away.
        guard follower.connection != nil, let directory = follower.directory else { return listed }
        let value = try await directory.value(of: WellKnownActions.service, [.string(name)], deadline: deadline)
        do {
            return try ServiceInfo(qiValue: value)
        } catch {
            throw QiError(.invalid, "what the directory says of \(name) cannot be read: \(error.message)")
        }
    }

    // MARK: - Coming and going

    /// The directory does not list a service any more. Connections that do not use it are told at once; those that do may still see it
    /// return, unless it was unregistered.
    func vanished(_ name: String, isOrderly: Bool) {
        presented?.mirrored(removed: name)
        guard let service = services[name] else { return }
        if isOrderly { return giveUp(name, QiError(.notFound, "\(name) was unregistered")) }
        if !follower.saysWhy { askHost(of: name, service) }
        service.object.detach(PresentedService.away)
        expect(name, service)
    }

    /// libqi's directory does not say why a service went. A host that answers still has unregistered it; one that is silent is lost.
    private func askHost(of name: String, _ service: PresentedService) {
        guard let host = service.object.connection, host !== follower.connection else { return }
        host.describe(service.object.address, name: name, deadline: .now() + Self.hostTime) { [weak self, weak service] result in
            guard let self, let service, services[name] === service, service.object.connection == nil,
                follower.mirror.service(named: name) == nil
            else { return }
            if case .failure(let error) = result, host.isClosed || error.code == .timedOut { return }
            giveUp(name, QiError(.notFound, "\(name) was unregistered"))
        }
    }

    func expect(_ name: String, _ service: PresentedService) {
        service.expect(within: returnTime, on: bus) { [weak self, weak service] in
            guard let self, services[name] === service, follower.away == nil else { return }
            giveUp(name, QiError(.notFound, "\(name) did not come back"))
        }
    }

    /// The directory lists a service that it did not.
    func appeared(_ name: String) {
        if services[name] != nil { restore(name) } else { presented?.mirrored(added: name) }
    }

    func restoreAll() {
        for name in services.keys { restore(name) }
    }

    /// Looks for the service of an object that has no path, as long as it is listed.
    func restore(_ name: String) {
        guard let service = services[name], service.object.connection == nil, !service.isRestoring, !bus.isShutDown, !isEnded else { return }
        service.isRestoring = true
        bus.enqueue { [self] in
            defer { service.isRestoring = false }
            var backoff = Backoff(first: .milliseconds(50), most: .seconds(1))
            while !bus.isShutDown, services[name] === service, service.object.connection == nil {
                do throws(QiError) {
                    _ = try await find(name)
                    return forgetIfUnused(name)
                } catch {
                    // Else it is restored when it is listed again.
                    guard follower.mirror.service(named: name) != nil else { return }
                    if !error.isRetryable, error.code != .remote, error.code != .notFound { return giveUp(name, error) }
                    bus.logger.debug("service not restored", metadata: [LogKeys.service: "\(name)", LogKeys.error: "\(error.message)"])
                }
                await bus.pause(backoff.next())
            }
        }
    }

    /// Gives a service that is back its path, and waits for its subscriptions.
    private nonisolated(nonsending) func attach(
        _ service: PresentedService, _ name: String, to connection: Connection, at address: ObjectAddress
    ) async throws(QiError) {
        service.stopExpecting()
        service.object.attach(to: connection, at: address)
        do throws(QiError) {
            for signal in service.object.subscriptions.signals { try await service.object.confirmSubscription(to: signal) }
        } catch {
            // A subscription that silently brings nothing any more would be worse than none.
            if error.isRetryable { service.object.detach(PresentedService.away) } else { giveUp(name, error) }
            throw error
        }
        bus.logger.info("service restored", metadata: [LogKeys.service: "\(name)"])
        // For those who wait for it by its name.
        if services[name] === service { presented?.mirrored(added: name) }
    }

    /// The service is gone, or another than the one that those outside know: they are told, and must look it up anew.
    private func giveUp(_ name: String, _ error: QiError) {
        guard let service = services.removeValue(forKey: name) else { return }
        bus.logger.info("service given up", metadata: [LogKeys.service: "\(name)", LogKeys.error: "\(error.message)"])
        service.stopExpecting()
        service.object.end(QiError(.notFound, "Service removed"))
        presented?.retire(name)
        if follower.mirror.service(named: name) != nil { presented?.mirrored(added: name) }
    }
}

extension PresentedService {
    fileprivate var resolved: ResolvedService { ResolvedService(object: object, info: info) }
}
