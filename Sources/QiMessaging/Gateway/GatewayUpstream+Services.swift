import Logging
import NIOCore
import QiWire

/// Finding services for those outside, and finding them again.
extension GatewayUpstream: UpstreamServices {
    /// How long the host of a service that went may take to answer.
    private static let hostTime = TimeAmount.seconds(5)

    var isForOutside: Bool { true }

    func handles(_ name: String) -> Bool { DirectoryTable.isValid(name: name) }

    var listed: [ServiceInfo] { follower.mirror.services }

    func listed(_ name: String) -> ServiceInfo? { follower.mirror.service(named: name) }

    func policyChanged() { publisher?.policyChanged() }

    func renewed(_ name: String) { publisher?.renewed(name) }

    func list(completion: @escaping (Result<[ServiceInfo], QiError>) -> Void) { completion(.success(listed)) }

    func resolve(_ name: String, completion: @escaping (Result<ResolvedService, QiError>) -> Void) {
        services.seek(name) { result in
            completion(result.map { ResolvedService(object: $0.object, info: $0.info) })
        }
    }

    func released(_ name: String) { services.forgetIfUnused(name) }

    /// Nothing of the inside is told: no address, no reason.
    func concealing(_ error: QiError, _ name: String) -> QiError {
        bus.logger.info(
            "a service was not found for a client outside",
            metadata: [LogKeys.service: "\(name)", LogKeys.error: "\(error.message)"])
        if error.code == .notFound { return QiError(.notFound, "Cannot find service '\(name)' in index") }
        if error.isRetryable { return QiError(.offline, "\(name): \(Self.away.message)") }
        return QiError(error.code, "\(name) cannot be used from outside, and the log there says why")
    }

    // MARK: - Coming and going

    /// The directory does not list a service any more. Connections that do not use it are told at once; those that do may still see it
    /// return, unless it was unregistered.
    func vanished(_ name: String, isOrderly: Bool) {
        presented?.mirrored(removed: name)
        guard let service = services[name] else { return }
        if isOrderly { return services.giveUp(name, QiError(.notFound, "\(name) was unregistered")) }
        if !follower.saysWhy { askHost(of: service) }
        service.object.detach(Self.away)
        expectReturn(of: service)
    }

    /// libqi's directory does not say why a service went. A host that answers still has unregistered it; one that is silent is lost.
    private func askHost(of service: RemoteService) {
        guard let host = service.object.connection, host !== follower.connection else { return }
        let name = service.name
        host.describe(service.object.address, name: name, deadline: .now() + Self.hostTime) { [weak self, weak service] result in
            guard let self, let service, services[name] === service, !service.hasPath, follower.mirror.service(named: name) == nil
            else { return }
            if case .failure(let error) = result, host.isClosed || error.code == .timedOut { return }
            services.giveUp(name, QiError(.notFound, "\(name) was unregistered"))
        }
    }

    func expectReturn(of service: RemoteService) {
        let name = service.name
        service.expect(within: returnTime, on: bus) { [weak self, weak service] in
            guard let self, services[name] === service, follower.away == nil else { return }
            services.giveUp(name, QiError(.notFound, "\(name) did not come back"))
        }
    }

    /// The directory lists a service that it did not.
    func appeared(_ name: String) {
        if services[name] != nil { restoreIfMissing(name) } else { presented?.mirrored(added: name) }
    }

    func restoreMissing() {
        for name in services.names { restoreIfMissing(name) }
    }

    func restoreIfMissing(_ name: String) {
        if services[name]?.hasPath == false { services.restore(name) }
    }
}

extension GatewayUpstream: RemoteServicesUser {
    /// What the directory says of a service. Only what it lists is asked for: it may answer also for what is not for everybody.
    nonisolated(nonsending) func info(of name: String, until deadline: NIODeadline) async throws(QiError) -> ServiceInfo {
        guard let listed = follower.mirror.service(named: name) else {
            // Who is awaited, and everybody while the directory is away, may only be late.
            if let away = follower.away { throw away }
            if let asked = try await follower.ask(for: name, until: deadline) { return asked }
            throw QiError(services[name] == nil ? .notFound : .offline, "Cannot find service '\(name)' in index")
        }
        // A service that is reached directly can be while its directory is away.
        guard follower.connection != nil, let directory = follower.directory else { return listed }
        return try await directory.info(ofService: name, until: deadline)
    }

    /// The connection to a service's host. What is on the machine of a directory that we reach by loopback is on ours, too, whatever
    /// id that goes by.
    nonisolated(nonsending) func connection(for info: ServiceInfo, until deadline: NIODeadline) async throws(QiError) -> Connection {
        guard let directory = follower.directory else { throw follower.away ?? QiError(.offline, "\(self.name) is away") }
        let directoryMachineID = follower.remote.machineID
        let isHere = endpoint.isLoopback && info.machineID == directoryMachineID
        let choice = EndpointSelection.choose(
            for: info, machineID: isHere ? info.machineID : machineID, directoryMachineID: directoryMachineID,
            directoryEndpoint: endpoint.text, rank: rank(of:))
        return try await hosts.connection(to: info, by: choice, of: directory, deadline: deadline)
    }

    func check(_ info: ServiceInfo, on connection: Connection) throws(QiError) {
        guard !connection.isClosed, follower.mirror.service(named: info.name)?.serviceID == info.serviceID else {
            throw QiError(.offline, "\(info.name) came or went just now")
        }
    }

    /// Those outside keep the object whatever becomes of the process that hosts the service.
    func object(named name: String, of info: ServiceInfo, on connection: Connection, _ metaObject: MetaObject) -> RemoteObject {
        let object = RemoteObject(
            bus: bus, name: name, connection: connection, address: .main(ofService: info.serviceID), metaObject: metaObject)
        object.concealedLoss = Self.away
        return object
    }

    func isUsed(_ name: String) -> Bool { presented?.lookUps[name] != nil }

    /// One that is not listed is restored when it is listed again.
    func mayBeFound(_ name: String) -> Bool { services[name]?.hasPath == false && follower.mirror.service(named: name) != nil }

    func verdict(on error: QiError, of service: RemoteService, soughtSince begin: NIODeadline) -> ServiceVerdict {
        guard follower.mirror.service(named: service.name) != nil else { return .wait }
        return error.isRetryable || error.code == .remote || error.code == .notFound ? .lookAgain : .gone(error)
    }

    /// For those who wait for it by its name.
    func restored(_ name: String) { presented?.mirrored(added: name) }

    /// Its removal was kept back for those who used it.
    func forgotten(_ name: String) {
        if follower.mirror.service(named: name) == nil { presented?.mirrored(removed: name) }
    }

    func gone(_ name: String, _ service: RemoteService, _ error: QiError) {
        presented?.retire(name)
        if follower.mirror.service(named: name) != nil { presented?.mirrored(added: name) }
    }
}
