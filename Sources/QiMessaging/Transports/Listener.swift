import Glibc
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// A listening socket. Ends with ``close()``; whatever else ends it, it listens again at the same address.
public final class Listener: Sendable {
    private struct State {
        var listening: TransportListening
        var isStopped = false
        var backoff = Backoff(first: .milliseconds(50), most: .seconds(5))
    }

    /// Where it listens, with the real port.
    public let endpoint: Endpoint
    private let state: Mutex<State>
    private let loop: BusLoop
    var eventLoop: any EventLoop { loop.eventLoop }
    private let transport: any Transport
    private let configure: @Sendable (any Channel) -> EventLoopFuture<Void>

    private init(
        _ listening: TransportListening, on loop: BusLoop, _ transport: any Transport,
        _ configure: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) {
        state = Mutex(State(listening: listening))
        endpoint = listening.endpoint
        self.loop = loop
        self.transport = transport
        self.configure = configure
    }

    /// What others may dial: for a wildcard address one endpoint per address of this machine as it is now, loopback first.
    public var endpoints: [Endpoint] {
        switch endpoint.kind {
        case .tcp("0.0.0.0", let port), .tls("0.0.0.0", let port, _):
            NetworkAddresses.current().filter { !$0.contains(":") }.compactMap { endpoint.replacing(host: $0, port: port) }
        case .tcp("::", let port), .tls("::", let port, _):
            NetworkAddresses.current().compactMap { endpoint.replacing(host: $0, port: port) }
        default: [endpoint]
        }
    }

    /// Whether ``endpoints`` may change while it listens.
    package var isWildcard: Bool { endpoint.isWildcard }

    /// Listens at `endpoint`; `configure` sets up every accepted channel, on the loop. A failed accept ends only itself.
    ///
    /// - Throws: `.conflict` when the address is taken, `.invalid` when it cannot be listened at.
    static func open(
        at endpoint: Endpoint, on loop: BusLoop, transport: any Transport,
        configure: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) async throws(QiError) -> Listener {
        do {
            if case .unix(let path) = endpoint.kind { try await removeStaleSocket(path, loop) }
            let listening = try await transport.listen(at: endpoint, on: loop.eventLoop, configure: configure).get()
            let listener = Listener(listening, on: loop, transport, configure)
            do {
                try listener.makePrivate()
            } catch {
                await listener.close()
                throw error
            }
            listener.watch(listening)
            return listener
        } catch {
            throw describe(error, endpoint)
        }
    }

    private static func describe(_ error: any Error, _ endpoint: Endpoint) -> QiError {
        if let error = error as? QiError { return error }
        if let error = error as? IOError, error.errnoCode == EADDRINUSE {
            return QiError(
                .conflict, "\(endpoint) is in use by another process",
                hint: "stop it, or listen elsewhere", cause: error)
        }
        return QiError(.invalid, "cannot listen at \(endpoint): \(FailureReason.text(error))", cause: error)
    }

    /// The folder keeps strangers out between bind and chmod: callers use one of mode 0700.
    private func makePrivate() throws(QiError) {
        guard case .unix(let path) = endpoint.kind else { return }
        guard chmod(path, 0o600) == 0 else {
            throw QiError(.invalid, "cannot make \(path) private: \(String(cString: strerror(errno)))")
        }
    }

    // MARK: - Listening again

    /// A kernel passes on what was wrong with a connection before it was accepted as an error of accept (accept(2)); some of these end
    /// NIO's listening channel, which must not end the service.
    private func watch(_ listening: TransportListening) {
        listening.ended.whenComplete { [self] _ in
            let pause = state.withLock { $0.isStopped ? nil : $0.backoff.next() }
            guard let pause else { return }
            loop.logger.warning("listening ended, and begins again", metadata: [LogKeys.endpoint: "\(endpoint)"])
            loop.eventLoop.scheduleTask(in: pause) { self.listenAgain() }
        }
    }

    private func listenAgain() {
        if state.withLock({ $0.isStopped }) { return }
        if case .unix(let path) = endpoint.kind { unlink(path) }
        transport.listen(at: endpoint, on: loop.eventLoop, configure: configure).flatMapThrowing { [self] listening in
            let isStopped = state.withLock { state in
                state.listening = listening
                return state.isStopped
            }
            try makePrivate()
            guard isStopped else { return watch(listening) }
            if case .unix(let path) = endpoint.kind { unlink(path) }
            listening.end()
        }.whenFailure { [self] error in
            loop.logger.warning(
                "cannot listen again", metadata: [LogKeys.endpoint: "\(endpoint)", LogKeys.error: "\(FailureReason.text(error))"])
            let pause = state.withLock { $0.isStopped ? nil : $0.backoff.next() }
            if let pause { loop.eventLoop.scheduleTask(in: pause) { self.listenAgain() } }
        }
    }

    /// Ends the socket as an error of the kernel does: for tests.
    func interrupt() { state.withLock { $0.listening }.end() }

    // MARK: - The end

    /// Stops listening, and takes the socket file away; accepted connections live on. For those that cannot wait.
    @discardableResult
    func stop() -> EventLoopFuture<Void> {
        let (listening, isFirst) = state.withLock { state in
            defer { state.isStopped = true }
            return (state.listening, !state.isStopped)
        }
        // Once: the path may be a successor's afterwards.
        if isFirst, case .unix(let path) = endpoint.kind { unlink(path) }
        listening.end()
        return listening.ended
    }

    /// Stops listening; accepted connections live on.
    public func close() async {
        // The future of an end does not fail.
        try? await stop().get()
    }

    // MARK: - Left over

    /// A socket file that nobody answers on is left over from a crash; one that somebody answers on is not ours to take.
    private static func removeStaleSocket(_ path: String, _ loop: BusLoop) async throws(QiError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw QiError(.conflict, "\(path) exists and is no socket", hint: "move it away, or listen elsewhere")
        }
        if let probe = try? await ClientBootstrap(group: loop.eventLoop).connect(unixDomainSocketPath: path).get() {
            probe.close(promise: nil)
            throw QiError(.conflict, "another process listens at \(path)", hint: "qimesh status; a node may be running already")
        }
        guard unlink(path) == 0 || errno == ENOENT else {
            throw QiError(.invalid, "cannot remove the stale socket \(path): \(String(cString: strerror(errno)))")
        }
    }
}
