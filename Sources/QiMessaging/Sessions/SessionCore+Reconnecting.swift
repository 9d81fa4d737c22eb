import Logging
import NIOCore
import QiWire

/// A session outlives its directory: it comes back by itself, and so does all that is the same there.
extension SessionCore {
    /// A service in use: its shared object, and what the directory said of it.
    struct TrackedService {
        let object: RemoteObject
        let info: ServiceInfo
        /// Whether the connection to the directory is its path.
        let isThroughDirectory: Bool
    }

    /// How long one attempt to connect may take: a session that closes waits for it.
    private static let dialTime = TimeAmount.seconds(3)

    /// The session is over: nothing comes back.
    func end(_ error: QiError) {
        isEnded = true
        directory?.end(error)
        for tracked in proxies.values { tracked.object.end(error) }
        proxies = [:]
        endLocalProxies(error)
        states.change(to: .closed)
    }

    /// The connection to the directory is gone.
    func directoryLost(_ error: QiError) {
        if bus.isShutDown || isEnded { return end(error) }
        guard isEstablished else { return }
        let away = QiError(
            .disconnected, "the directory at \(directoryEndpoint) is away: \(error.message)",
            hint: "the session comes back by itself: try again", cause: error)
        directory?.explainLoss(away)
        for tracked in proxies.values { tracked.object.explainLoss(away) }
        states.change(to: .reconnecting(away))
        guard !isReconnecting else { return }
        isReconnecting = true
        bus.logger.info("directory lost", metadata: [LogKeys.endpoint: "\(directoryEndpoint)", LogKeys.error: "\(error.message)"])
        bus.enqueue { [self] in
            var backoff = Backoff(first: .milliseconds(100), most: .seconds(5))
            while !bus.isShutDown {
                do throws(QiError) {
                    try await reconnect()
                    break
                } catch {
                    bus.logger.debug("directory not reached", metadata: [LogKeys.endpoint: "\(directoryEndpoint)", LogKeys.error: "\(error.message)"])
                }
                await bus.pause(backoff.next())
            }
            isReconnecting = false
        }
    }

    private nonisolated(nonsending) func reconnect() async throws(QiError) {
        let connection = try await Dialer.connect(to: directoryEndpoint, in: directoryContext, timeout: Self.dialTime).value
        do throws(QiError) {
            try await begin(on: connection)
            guard let directory, directory.connection === connection else { throw directory?.lostError ?? QiError(.disconnected, "lost again") }
            try await registerAgain(at: directory)
            guard directory.connection === connection else { throw directory.lostError }
        } catch {
            connection.close(.setUpFailed(error))
            throw error
        }
        for (name, tracked) in proxies { restore(name, tracked, on: connection) }
        for (name, handle) in localProxies { compare(name, handle) }
        states.change(to: .connected)
        bus.logger.info("directory back", metadata: [LogKeys.endpoint: "\(directoryEndpoint)"])
    }

    // MARK: - Services in use

    /// Looks a service up again: what is the same goes on, what is another is taken from its users, so that no call reaches another
    /// object than the one meant. One that is not listed may still come back, for the directory waits for its owner too.
    private func restore(_ name: String, _ tracked: TrackedService, on connection: Connection) {
        let end = NIODeadline.now() + DirectoryTable.reservationTime + .seconds(5)
        bus.enqueue { [self] in
            var backoff = Backoff(first: .milliseconds(250), most: .seconds(5))
            while !bus.isShutDown, proxies[name]?.object === tracked.object, directoryConnection === connection, !connection.isClosed {
                do throws(QiError) {
                    return try await compare(name, tracked, on: connection)
                } catch {
                    if error.code != .notFound, error.isRetryable == false { return drop(name, tracked, error) }
                    if NIODeadline.now() > end {
                        return drop(name, tracked, QiError(.notFound, "\(name) did not come back after its directory did"))
                    }
                }
                await bus.pause(backoff.next())
            }
        }
    }

    private nonisolated(nonsending) func compare(
        _ name: String, _ tracked: TrackedService, on connection: Connection
    ) async throws(QiError) {
        let found = try await info(of: name, deadline: .now() + .seconds(10))
        guard proxies[name]?.object === tracked.object, !connection.isClosed else { return }
        let another = QiError(.notFound, "\(name) is another service than before", hint: "look it up again")
        guard found.isSame(as: tracked.info) else { return drop(name, tracked, another) }
        // With a connection of its own it is the object that it was: neither end of that has changed.
        guard tracked.isThroughDirectory, tracked.object.connection == nil else { return }
        let address = ObjectAddress.main(ofService: found.serviceID)
        let metaObject = try await connection.metaObject(of: address, name: name)
        guard proxies[name]?.object === tracked.object, !connection.isClosed else { return }
        guard metaObject == tracked.object.metaObject else { return drop(name, tracked, another) }
        tracked.object.attach(to: connection, at: address)
        for signal in tracked.object.subscriptions.signals {
            do throws(QiError) {
                try await tracked.object.confirmSubscription(to: signal)
            } catch {
                // A subscription that silently brings nothing any more would be worse than none.
                if !connection.isClosed { drop(name, tracked, error) }
                return
            }
        }
    }

    /// A service of this process has gone while the directory could not tell.
    private func compare(_ name: String, _ weak: WeakHandle) {
        guard let handle = weak.handle, case .local(let object) = handle.target else { return }
        bus.enqueue { [self] in
            do throws(QiError) {
                let info = try await info(of: name, deadline: .now() + .seconds(10))
                if InProcessObjects.find(info) === object { return }
            } catch {
                if error.code != .notFound { return }
            }
            guard localProxies[name]?.handle === handle else { return }
            localProxies[name] = nil
            handle.endLocal(QiError(.notFound, "\(name) is another service than before", hint: "look it up again"))
        }
    }

    private func drop(_ name: String, _ tracked: TrackedService, _ error: QiError) {
        guard proxies[name]?.object === tracked.object else { return }
        proxies[name] = nil
        tracked.object.end(error)
    }
}
