import Glibc
import Logging
import NIOCore
import QiWire

/// Where a session's own services are reached (wire reference §13).
extension SessionCore {
    /// How often the addresses behind a wildcard are looked at.
    private static let addressCheck = TimeAmount.seconds(5)

    /// The endpoints to register, as they are now.
    func currentEndpoints() -> [String] { listeners.flatMap { $0.endpoints.map(\.text) } }

    func listening(_ opened: [Listener]) {
        listeners = opened
        checkLater()
    }

    private func checkLater() {
        guard listeners.contains(where: \.isWildcard) else { return }
        endpointCheck = bus.schedule(at: .now() + Self.addressCheck) { [weak self] in
            guard let self, endpointCheck != nil else { return }
            publish(currentEndpoints())
            checkLater()
        }
    }

    /// Tells the directory of the services whose endpoints are not what it was told last.
    func publish(_ endpoints: [String]) {
        guard let directory = remote.object, directory.connection != nil else { return }
        for (id, known) in hostedInfos where known.endpoints != endpoints {
            var info = known
            info.endpoints = endpoints
            hostedInfos[id] = info
            bus.enqueue { [weak self, info] in await self?.update(info, in: directory) }
        }
    }

    private nonisolated(nonsending) func update(_ info: ServiceInfo, in directory: RemoteObject) async {
        do throws(QiError) {
            _ = try await directory.value(of: WellKnownActions.updateServiceInfo, [info.qiValue], deadline: .now() + .seconds(10))
        } catch {
            bus.logger.warning(
                "the directory did not take new endpoints", metadata: [LogKeys.service: "\(info.name)", LogKeys.error: "\(error)"])
        }
    }

    func stopListening() {
        endpointCheck?.cancel()
        endpointCheck = nil
        for listener in listeners { listener.stop() }
    }
}

extension Session {
    /// Opens the listeners, once.
    func listenIfNeeded() async throws(QiError) {
        let core = self.core
        let isListening = try await loop.run { (_) async throws(QiError) in !core.value.listeners.isEmpty }
        if isListening { return }
        var opened: [Listener] = []
        do throws(QiError) {
            for text in options.listen {
                if let listener = try await listen(text) { opened.append(listener) }
            }
            guard !opened.isEmpty else {
                throw QiError(.invalid, "there is nowhere to listen at", hint: "name endpoints in Session.Options.listen")
            }
        } catch {
            for listener in opened { await listener.close() }
            throw error
        }
        let listeners = opened
        let isFirst = try await loop.run { (_) async throws(QiError) in
            guard core.value.listeners.isEmpty else { return false }
            core.value.listening(listeners)
            return true
        }
        // Two objects were registered at once.
        if !isFirst { for listener in listeners { await listener.close() } }
    }

    private func listen(_ text: String) async throws(QiError) -> Listener? {
        if text == "unix:" { return await listenPrivately() }
        guard let endpoint = Endpoint(text) else { throw QiError(.invalid, "\"\(text)\" is not an endpoint") }
        return try await open(at: endpoint)
    }

    /// A bonus: where no socket can be, the other endpoints serve as well.
    private func listenPrivately() async -> Listener? {
        do throws(QiError) {
            return try await open(at: PrivateSockets.newEndpoint())
        } catch {
            loop.logger.warning("no unix socket for this session's services", metadata: [LogKeys.error: "\(error)"])
            return nil
        }
    }

    private func open(at endpoint: Endpoint) async throws(QiError) -> Listener {
        let core = self.core
        let owner = try await loop.run { (bus) async throws(QiError) in
            NIOLoopBound<any ConnectionOwner>(core.value, eventLoop: bus.eventLoop)
        }
        return try await Listener.open(
            at: endpoint, on: loop, transports: reach.transports, owner: owner, limits: reach.limits)
    }

    /// Ends what is being dialled, and listening.
    func endReach() async {
        let core = self.core
        // Nothing here throws; `try?` only satisfies the typed signature.
        let listeners = try? await loop.run { (_) async throws(QiError) in
            let reason = QiError(.disconnected, "this session was closed")
            core.value.unregisterAll()
            core.value.end(reason)
            core.value.hosts.end(reason)
            core.value.stopListening()
            return core.value.listeners
        }
        for listener in listeners ?? [] { await listener.close() }
    }
}
