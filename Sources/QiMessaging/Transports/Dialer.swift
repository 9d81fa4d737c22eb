import Glibc
import NIOCore
import NIOPosix

/// Opens qi connections at endpoints.
enum Dialer {
    /// Everything an attempt needs but the endpoint.
    struct Context: Sendable {
        let loop: BusLoop
        let transports: TransportSet
        let owner: NIOLoopBound<any ConnectionOwner>?
        let limits: ConnectionLimits
        /// What is shown to whoever answers.
        var credentials: Credentials?
    }

    /// Connects to `endpoint` and authenticates.
    ///
    /// - Throws: `.offline` when nobody answers there, `.denied` when the peer refuses us, `.timedOut`, `.unsupported`.
    static func connect(
        to endpoint: Endpoint, in context: Context, timeout: TimeAmount = .seconds(10)
    ) async throws(QiError) -> NIOLoopBound<Connection> {
        try await context.loop.run { (bus) async throws(QiError) in
            let result: Result<NIOLoopBound<Connection>, QiError> = await withUnsafeContinuation { continuation in
                _ = dial(endpoint, in: context, bus: bus, timeout: timeout) { result in
                    continuation.resume(returning: result.map { NIOLoopBound($0, eventLoop: bus.eventLoop) })
                }
            }
            return try result.get()
        }
    }

    /// Begins to connect and authenticate. On the bus loop; so is `completion`, which runs exactly once, and not before this returns
    /// unless the endpoint cannot be dialled at all.
    static func dial(
        _ endpoint: Endpoint, in context: Context, bus: Bus, timeout: TimeAmount,
        completion: @escaping (Result<Connection, QiError>) -> Void
    ) -> DialAttempt {
        let attempt = DialAttempt(completion)
        let transport: any Transport
        do throws(QiError) {
            try context.transports.tls.prepare(for: endpoint, isServer: false)
            transport = try context.transports.transport(for: endpoint)
        } catch {
            attempt.failed(error)
            return attempt
        }
        let setup = QiPipeline.Setup(
            endpoint: endpoint, transports: context.transports, owner: context.owner, limits: context.limits,
            credentials: context.credentials)
        let place = NIOLoopBoundBox<Connection?>(nil, eventLoop: bus.eventLoop)
        let loop = context.loop
        transport.connect(to: endpoint, on: bus.eventLoop, timeout: timeout) { channel in
            QiPipeline.install(on: channel, setup, bus: loop.bus, role: .client).map { place.value = $0.value }
        }.assumeIsolated().whenComplete { result in
            switch result {
            case .success:
                if let connection = place.value { attempt.connected(connection) }
            case .failure(let error): attempt.failed(describe(error, endpoint))
            }
            bus.executor.scheduleDrain()
        }
        return attempt
    }

    static func describe(_ error: any Error, _ endpoint: Endpoint) -> QiError {
        if let error = error as? QiError { return error }
        return QiError(
            .offline, "nobody answers at \(endpoint): \(FailureReason.text(error))",
            hint: "check the address, and that a node or robot is running there", cause: error)
    }
}

/// One attempt to reach one endpoint. Confined to the bus loop.
final class DialAttempt {
    private enum State {
        case connecting
        case authenticating(Connection)
        case over
    }

    private var state = State.connecting
    private let completion: (Result<Connection, QiError>) -> Void

    init(_ completion: @escaping (Result<Connection, QiError>) -> Void) { self.completion = completion }

    func failed(_ error: QiError) {
        if case .over = state { return }
        state = .over
        completion(.failure(error))
    }

    func connected(_ connection: Connection) {
        guard case .connecting = state else {
            return connection.close(.unneeded("this connection is not needed any more"))
        }
        state = .authenticating(connection)
        connection.whenOpen { [self] result in
            switch (state, result) {
            case (.over, _): break
            case (_, .success):
                state = .over
                completion(.success(connection))
            case (_, .failure(let error)): failed(error)
            }
        }
    }

    /// Gives up: what has connected is closed, what connects later too. `completion` is not called any more.
    func cancel() {
        let before = state
        state = .over
        guard case .authenticating(let connection) = before else { return }
        connection.close(.unneeded("this connection is not needed any more"))
    }
}

extension Connection {
    /// Returns when the connection is authenticated.
    nonisolated(nonsending) func opened() async throws(QiError) {
        let result: Result<Void, QiError> = await withUnsafeContinuation { continuation in
            whenOpen { continuation.resume(returning: $0) }
        }
        try result.get()
    }
}
