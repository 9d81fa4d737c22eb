import Logging
import QiMessaging
import ServiceLifecycle
import Synchronization

/// Where the robot's own bus is listened at: what is open, and what this machine does not have yet. Follows the network interfaces while
/// it runs.
final class DirectoryListeners: Sendable {
    private struct State {
        var open: [Place] = []
        /// What cannot be listened at now, and is tried again.
        var late: [String] = []
        var missing: [String] = []
        /// By URL, or for what was missing: what the log was told last.
        var told: [String: String] = [:]
        var networks: [IPNetwork]?
        var endpoints: [String] = []
    }

    private struct Place {
        /// As it was wanted: another name for ``Listener/endpoint``.
        let url: String
        let listener: Listener
    }

    private let server: DirectoryServer
    private let door: DirectoryServer.Door
    private let follows: Bool
    private let wanted: @Sendable () throws(MeshError) -> InternalListening
    private let pause: Duration
    private let logger: Logger
    private let onOpen: @Sendable (Endpoint) -> Void
    private let state = Mutex(State())

    /// - Parameters:
    ///   - door: who is let in; its networks are set here.
    ///   - follows: whether what is wanted may change while it runs.
    ///   - pause: how often it is asked what is wanted, and what is not there is tried again.
    ///   - wanted: what there is to listen at, as it is now.
    ///   - onOpen: hears of each address that is opened.
    init(
        _ server: DirectoryServer, door: DirectoryServer.Door, follows: Bool, pause: Duration = .seconds(2), logger: Logger,
        wanted: @escaping @Sendable () throws(MeshError) -> InternalListening, onOpen: @escaping @Sendable (Endpoint) -> Void = { _ in }
    ) {
        self.server = server
        self.door = door
        self.follows = follows
        self.pause = pause
        self.logger = logger
        self.wanted = wanted
        self.onOpen = onOpen
    }

    /// Where it listens, with the real ports.
    var endpoints: [String] { state.withLock { $0.open.map(\.listener.endpoint.text) } }

    /// What is not there yet, in words.
    var missing: [String] { state.withLock { $0.missing + $0.late } }

    /// Opens all that is there; ``run(onChange:)`` waits for the rest.
    ///
    /// - Throws: `configuration` for a text that is no endpoint and for settings that cannot be met, `system` for an address that is
    ///   there and cannot be listened on.
    func open() async throws(MeshError) {
        let wanted = try self.wanted()
        follow(wanted)
        for (text, endpoint) in try Self.parsed(wanted.urls) {
            do throws(QiError) {
                try await listen(at: endpoint, text)
            } catch {
                if await isCovered(endpoint, error) { continue }
                guard error.isOfLateAddress else { throw await failure(error, at: endpoint) }
                state.withLock { $0.late.append(text) }
                tell(text, error)
            }
        }
        publish()
    }

    private static func parsed(_ urls: [String]) throws(MeshError) -> [(String, Endpoint)] {
        var parsed: [(String, Endpoint)] = []
        for text in urls {
            guard let endpoint = Endpoint(text) else {
                throw MeshError(
                    .configuration, "internal.listen: \"\(text)\" is not an endpoint", hint: "use tcp://HOST:PORT or unix:/PATH")
            }
            parsed.append((text, endpoint))
        }
        return parsed.widestFirst(\.1)
    }

    /// Why an address cannot be listened at. Where a directory of libqi's has it, that one may be what the user means.
    private func failure(_ error: QiError, at endpoint: Endpoint) async -> MeshError {
        guard error.isOfTakenAddress else { return MeshError(.system, error.message, hint: error.hint, cause: error) }
        guard case .tcp(let host, let port) = endpoint.kind,
            let asked = endpoint.replacing(host: endpoint.isWildcard ? "127.0.0.1" : host, port: port),
            await Session.isForeignDirectory(at: asked, logger: logger)
        else {
            return MeshError(
                .system, error.message, hint: "stop it, if it is another node; or listen elsewhere: internal.listen in the configuration",
                cause: error)
        }
        return MeshError(
            .system, "\(error.message): a service directory answers there, NAOqi's as a rule",
            hint: "make its services this device's, in the configuration: device: { naoqi: \"\(asked)\" }", cause: error)
    }

    // MARK: - While it runs

    /// Listens at what was not there when it comes, and no more at what has gone; returns at the shutdown, or when nothing can change.
    func run(onChange: @Sendable () -> Void) async {
        while mayChange, !Task.isCancelled, !Task.isShuttingDownGracefully {
            // Ends early only by the shutdown, which the loop looks at.
            _ = try? await cancelWhenGracefulShutdown { [pause] in try await Task.sleep(for: pause) }
            guard !Task.isCancelled, !Task.isShuttingDownGracefully else { return }
            let before = missing
            if follows { await take() }
            for text in state.withLock({ $0.late }) where !Task.isShuttingDownGracefully { await retry(text) }
            if publish() || missing != before { onChange() }
        }
    }

    private var mayChange: Bool {
        follows || state.withLock { state in !state.late.isEmpty || state.open.contains { $0.listener.isWildcard } }
    }

    /// Takes over what is wanted now.
    private func take() async {
        let wanted: InternalListening
        do throws(MeshError) {
            wanted = try self.wanted()
            _ = try Self.parsed(wanted.urls)
            state.withLock { $0.told[Self.asking] = nil }
        } catch {
            return tell(Self.asking, QiError(.invalid, error.message))
        }
        follow(wanted)
        let gone = state.withLock { state in
            let gone = state.open.filter { !wanted.urls.contains($0.url) }
            state.open.removeAll { !wanted.urls.contains($0.url) }
            let known = Set(state.open.map(\.url))
            state.late = wanted.urls.filter { !known.contains($0) }
            return gone
        }
        for place in gone {
            logger.notice("the directory does not listen there any more", metadata: ["qi.endpoint": "\(place.listener.endpoint.text)"])
            await place.listener.close()
        }
    }

    private static let asking = "internal.interfaces"

    /// Who is let in, and what is missing. Said once when it is, and once when it came.
    private func follow(_ wanted: InternalListening) {
        let (isOther, gone, came) = state.withLock { state in
            defer { (state.networks, state.missing) = (wanted.networks, wanted.missing) }
            return (
                state.networks != wanted.networks, wanted.missing.filter { !state.missing.contains($0) },
                state.missing.filter { !wanted.missing.contains($0) }
            )
        }
        if isOther { server.setNetworks(wanted.networks, of: door) }
        for what in gone {
            logger.warning(
                "internal.listen and internal.interfaces name what is not there, and is waited for", metadata: ["missing": "\(what)"])
        }
        for what in came {
            logger.notice("internal.listen and internal.interfaces name what is there now", metadata: ["came": "\(what)"])
        }
    }

    private func retry(_ text: String) async {
        guard let endpoint = Endpoint(text) else { return }
        do throws(QiError) {
            try await listen(at: endpoint, text)
            logger.notice("the directory listens at another address", metadata: ["qi.endpoint": "\(endpoint.text)"])
        } catch {
            if await isCovered(endpoint, error) {
                state.withLock { $0.late.removeAll { $0 == text } }
            } else {
                tell(text, error)
            }
        }
    }

    private func listen(at endpoint: Endpoint, _ text: String) async throws(QiError) {
        let listener = try await server.listen(at: endpoint, door: door)
        state.withLock { state in
            state.open.append(Place(url: text, listener: listener))
            state.late.removeAll { $0 == text }
            state.told[text] = nil
        }
        onOpen(listener.endpoint)
    }

    /// Whether it is ourselves who have that address, under another name.
    private func isCovered(_ endpoint: Endpoint, _ error: QiError) async -> Bool {
        guard error.isOfTakenAddress else { return false }
        for place in state.withLock({ $0.open }) where await place.listener.covers(endpoint) { return true }
        return false
    }

    /// Said once, however often it is tried.
    private func tell(_ what: String, _ error: QiError) {
        let isNews = state.withLock { state in
            defer { state.told[what] = error.message }
            return state.told[what] != error.message
        }
        guard isNews else { return }
        logger.warning(
            "an address of the directory cannot be listened at yet, and is tried again",
            metadata: ["qi.endpoint": "\(what)", "error": "\(error.message)"])
    }

    /// Has the directory tell where it listens.
    ///
    /// - Returns: whether that is not what it was.
    @discardableResult
    private func publish() -> Bool {
        let open = state.withLock { $0.open.map(\.listener) }
        let endpoints = open.flatMap { $0.endpoints.map(\.text) }
        let isOther = state.withLock { state in
            defer { state.endpoints = endpoints }
            return state.endpoints != endpoints
        }
        if isOther { server.tell(open) }
        return isOther
    }

    /// Stops listening.
    func close() async {
        let open = state.withLock { state in
            defer { state = State() }
            return state.open
        }
        for place in open { await place.listener.close() }
    }
}
