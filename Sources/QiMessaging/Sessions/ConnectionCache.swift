import NIOCore
import QiWire

/// The connections to service hosts, shared by whoever needs them. Confined to the bus loop.
final class ConnectionCache {
    private final class Waiter {
        private var continuation: UnsafeContinuation<Void, Never>?
        private(set) var result: Result<Connection, QiError>?
        var timer: Scheduled<Void>?

        func finish(_ result: Result<Connection, QiError>) {
            guard self.result == nil else { return }
            self.result = result
            timer?.cancel()
            continuation?.resume()
            continuation = nil
        }

        nonisolated(nonsending) func value() async throws(QiError) -> Connection {
            // Looked at inside: the result may come on the way there.
            await withUnsafeContinuation { (waiting: UnsafeContinuation<Void, Never>) in
                if result == nil { continuation = waiting } else { waiting.resume() }
            }
            guard let result else { throw QiError(.disconnected, "nobody finished this") }
            return try result.get()
        }
    }

    /// How long a host has to answer, whoever waits for it.
    private static let timeout = TimeAmount.seconds(10)

    private let context: () -> Dialer.Context?
    private let bus: Bus
    private var machine = StateMachine<Waiter>(first: .milliseconds(100), most: .seconds(5), maximumDials: 256)
    private var races: [UInt64: DialRace] = [:]
    private var connections: [UInt64: Connection] = [:]
    private var endReason: QiError?

    /// - Parameter context: what a dial needs, asked for each one, since it holds the owner of the connections; nil when that has ended.
    init(bus: Bus, context: @escaping () -> Dialer.Context?) {
        self.context = context
        self.bus = bus
    }

    /// A connection to the host of `endpoints` (best first, not empty) on `machineID`; a new one unless there is one.
    nonisolated(nonsending) func connection(
        to endpoints: [Endpoint], on machineID: String, deadline: NIODeadline
    ) async throws(QiError) -> Connection {
        if let endReason { throw endReason }
        let waiter = Waiter()
        waiter.timer = bus.schedule(at: deadline) { [bus] in
            waiter.finish(.failure(QiError(.timedOut, "no endpoint of \(endpoints.map(\.text)) answered before the deadline")))
            bus.executor.scheduleDrain()
        }
        switch machine.requested(endpoints, on: machineID, by: waiter, at: .now()) {
        case .use(let id):
            waiter.finish(connections[id].map { .success($0) } ?? .failure(QiError(.disconnected, "the connection was lost")))
        case .wait: break
        case .fail(let error): waiter.finish(.failure(error))
        case .dial(let dial, let endpoints): race(dial, endpoints)
        }
        return try await waiter.value()
    }

    /// The connection that leads to a service: the directory's own, or one to its host, shared with everything else that is used there.
    ///
    /// - Throws: `.offline` when none of its endpoints answers, or none is for us.
    nonisolated(nonsending) func connection(
        to info: ServiceInfo, by choice: EndpointSelection.Choice, of directory: RemoteObject, deadline: NIODeadline
    ) async throws(QiError) -> Connection {
        switch choice {
        case .directoryConnection:
            guard let shared = directory.connection else { throw directory.lostError }
            return shared
        case .dial(let endpoints):
            if endpoints.isEmpty {
                throw QiError(
                    .offline, "no reachable endpoint for \(info.name): its directory lists \(info.endpoints)",
                    hint: "the service listens on another machine's loopback; start it with an address of its network")
            }
            return try await connection(to: endpoints, on: info.machineID, deadline: deadline)
        }
    }

    private func race(_ dial: UInt64, _ endpoints: [Endpoint]) {
        guard let context = context() else {
            let error = QiError(.disconnected, "who asked for a connection has ended")
            for waiter in machine.failed(dial, failed: [], at: .now()) { waiter.finish(.failure(error)) }
            return
        }
        let race = DialRace(endpoints, in: context, bus: bus, timeout: Self.timeout) { [weak self] outcome in
            self?.raced(dial, outcome)
        }
        races[dial] = race
        race.start()
    }

    private func raced(_ dial: UInt64, _ outcome: DialRace.Outcome) {
        races[dial] = nil
        switch outcome.result {
        case .failure(let error):
            for waiter in machine.failed(dial, failed: outcome.failed, at: .now()) { waiter.finish(.failure(error)) }
        case .success(let connection):
            switch machine.dialled(dial, connection.id, failed: outcome.failed, at: .now()) {
            case .discard: connection.close(.unneeded("this connection is not needed any more"))
            case .resume(let waiters):
                let id = connection.id
                connections[id] = connection
                connection.whenClosed { [weak self] _ in self?.closed(id) }
                for waiter in waiters { waiter.finish(.success(connection)) }
            }
        }
        bus.executor.scheduleDrain()
    }

    private func closed(_ id: UInt64) {
        connections[id] = nil
        machine.closed(id)
    }

    /// Hosts that are being dialled now.
    var dialsRunning: Int { machine.dialsRunning }

    /// Ends what is being dialled, and dials nothing more.
    func end(_ error: QiError) {
        endReason = error
        let running = races
        races = [:]
        for race in running.values { race.stop(error) }
        for waiter in machine.endAll() { waiter.finish(.failure(error)) }
    }
}
