import Logging
import NIOCore
import QiWire

/// A session outlives its directory: it comes back by itself, and so does all that is the same there.
extension SessionCore: RemoteDirectoryUser {
    /// How long one attempt to connect may take: a session that closes waits for it.
    private static let dialTime = TimeAmount.seconds(3)

    var isWanted: Bool { !isEnded }

    nonisolated(nonsending) func connect() async throws(QiError) -> Connection {
        try await Dialer.connect(to: directoryEndpoint, in: directoryContext, timeout: Self.dialTime).value
    }

    func made(_ directory: RemoteObject) { directory.waitsInGap = gap == .wait }

    nonisolated(nonsending) func prepare(_ directory: RemoteObject, on connection: Connection) async throws(QiError) {
        try await registerAgain(at: directory)
    }

    func joined(_ directory: RemoteObject, on connection: Connection) {
        if states.current.isConnected { return }
        services.restoreAll()
        for (name, handle) in localProxies { compare(name, handle) }
        states.change(to: .connected)
        bus.logger.info("directory back", metadata: [LogKeys.endpoint: "\(directoryEndpoint)"])
    }

    func failed(_ error: QiError, isNews: Bool) {
        explainLoss()
        bus.logger.debug("directory not reached", metadata: [LogKeys.endpoint: "\(directoryEndpoint)", LogKeys.error: "\(error.message)"])
    }

    func removed(_ id: UInt32, _ name: String) {
        let error = QiError(.notFound, "Service removed")
        services.giveUp(name, error)
        localProxies.removeValue(forKey: name)?.handle?.endLocal(error)
    }

    /// The connection to the directory is gone.
    func directoryLost(_ error: QiError) {
        guard !bus.isShutDown, !isEnded, let away = remote.away else { return end(error) }
        explainLoss()
        states.change(to: .reconnecting(away))
        bus.logger.info("directory lost", metadata: [LogKeys.endpoint: "\(directoryEndpoint)", LogKeys.error: "\(error.message)"])
        remote.comeBack()
    }

    /// Calls without a path fail with words that say what is done about it.
    private func explainLoss() {
        guard let away = remote.away, !isEnded else { return }
        remote.object?.explainLoss(away)
        for service in services.all { service.object.explainLoss(away) }
    }

    /// The session is over: nothing comes back.
    func end(_ error: QiError) {
        isEnded = true
        remote.end(error)
        services.end(error)
        endLocalProxies(error)
        states.change(to: .closed)
    }

    /// A service of this process has gone while the directory could not tell.
    private func compare(_ name: String, _ weak: WeakHandle) {
        guard let handle = weak.handle, case .local(let object) = handle.target else { return }
        bus.enqueue { [self] in
            do throws(QiError) {
                let info = try await info(of: name, until: .now() + .seconds(10))
                if InProcessObjects.find(info) === object { return }
            } catch {
                if error.code != .notFound { return }
            }
            guard localProxies[name]?.handle === handle else { return }
            localProxies[name] = nil
            handle.endLocal(QiError(.notFound, "\(name) is another service than before", hint: "look it up again"))
        }
    }
}

/// Services in use: those with a connection of their own work while the directory is away.
extension SessionCore: RemoteServicesUser {
    nonisolated(nonsending) func info(of name: String, until deadline: NIODeadline) async throws(QiError) -> ServiceInfo {
        do throws(QiError) {
            return try await requireDirectory(until: deadline).info(ofService: name, until: deadline)
        } catch {
            guard error.code == .notFound else { throw error }
            throw QiError(.notFound, "no service \"\(name)\": \(error.message)")
        }
    }

    nonisolated(nonsending) func connection(for info: ServiceInfo, until deadline: NIODeadline) async throws(QiError) -> Connection {
        let directory = try await requireDirectory(until: deadline)
        return try await connection(for: info, of: directory, deadline: deadline)
    }

    func object(named name: String, of info: ServiceInfo, on connection: Connection, _ metaObject: MetaObject) -> RemoteObject {
        let object = RemoteObject(
            bus: bus, name: name, connection: connection, address: .main(ofService: info.serviceID), metaObject: metaObject)
        object.waitsInGap = gap == .wait
        return object
    }

    func mayBeFound(_ name: String) -> Bool { remote.connection != nil }

    /// One that is not listed may still come back, for the directory waits for its owner too.
    func verdict(on error: QiError, of service: RemoteService, soughtSince begin: NIODeadline) -> ServiceVerdict {
        if error.code != .notFound, !error.isRetryable { return .gone(error) }
        guard NIODeadline.now() > begin + DirectoryTable.reservationTime + .seconds(5) else { return .lookAgain }
        return .gone(QiError(.notFound, "\(service.name) did not come back after its directory did"))
    }

    func gone(_ name: String, _ service: RemoteService, _ error: QiError) {}
}
