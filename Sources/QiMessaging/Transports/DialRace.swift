import NIOCore

/// Dials the endpoints of one host, staggered, and keeps the first that answers (as RFC 8305 does for addresses). Confined to the
/// bus loop.
final class DialRace {
    /// How long the best endpoint has before the next one is tried beside it.
    static let stagger = TimeAmount.milliseconds(150)

    /// What came of a race.
    struct Outcome {
        var result: Result<Connection, QiError>
        /// The endpoint that won.
        var winner: Endpoint?
        /// Those that certainly did not answer: what was abandoned is not among them.
        var failed: [Endpoint]
    }

    private let endpoints: [Endpoint]
    private let context: Dialer.Context
    private let bus: Bus
    private let timeout: TimeAmount
    private var machine: StateMachine
    private var attempts: [Int: DialAttempt] = [:]
    private var failed: [Endpoint] = []
    private var timers: [Scheduled<Void>] = []
    private var completion: ((Outcome) -> Void)?

    /// - Parameter endpoints: best first.
    init(
        _ endpoints: [Endpoint], in context: Dialer.Context, bus: Bus, timeout: TimeAmount, stagger: TimeAmount = DialRace.stagger,
        completion: @escaping (Outcome) -> Void
    ) {
        self.endpoints = endpoints
        self.context = context
        self.bus = bus
        self.timeout = timeout
        machine = StateMachine(count: endpoints.count, stagger: stagger)
        self.completion = completion
    }

    /// Begins; `completion` runs exactly once, on the loop.
    func start() {
        let text = endpoints.map(\.text).joined(separator: ", ")
        let timeout = self.timeout
        timers.append(
            bus.schedule(at: .now() + timeout) { [weak self] in
                self?.timedOut(QiError(.timedOut, "none of \(text) answered within \(timeout.nanoseconds / 1_000_000) ms"))
            })
        perform(machine.started(at: .now()))
    }

    /// Whoever has not answered by now is as good as dead.
    private func timedOut(_ error: QiError) {
        let silent = machine.ended()
        for index in silent { attempts[index]?.cancel() }
        failed += silent.map { endpoints[$0] }
        finish(.failure(error), winner: nil)
    }

    /// Ends the race without a winner.
    func stop(_ error: QiError) {
        for index in machine.ended() { attempts[index]?.cancel() }
        finish(.failure(error), winner: nil)
    }

    private func perform(_ step: StateMachine.OnProgress) {
        switch step {
        case .wait: break
        case .lost(let errors): finish(.failure(Self.combine(errors)), winner: nil)
        case .dial(let index, let next):
            if let next {
                timers.append(
                    bus.schedule(at: next) { [weak self] in
                        guard let self else { return }
                        perform(machine.staggerEnded(at: .now()))
                    })
            }
            attempts[index] = Dialer.dial(endpoints[index], in: context, bus: bus, timeout: timeout) { [weak self] result in
                self?.attempted(index, result)
            }
        }
    }

    private func attempted(_ index: Int, _ result: Result<Connection, QiError>) {
        attempts[index] = nil
        switch result {
        case .failure(let error):
            failed.append(endpoints[index])
            perform(machine.failed(index, error, at: .now()))
        case .success(let connection):
            guard case .won(let abandoned) = machine.connected(index) else {
                return connection.close(.unneeded("another endpoint answered first"))
            }
            for other in abandoned { attempts[other]?.cancel() }
            finish(.success(connection), winner: endpoints[index])
        }
    }

    private func finish(_ result: Result<Connection, QiError>, winner: Endpoint?) {
        for timer in timers { timer.cancel() }
        timers = []
        attempts = [:]
        let completion = self.completion
        self.completion = nil
        completion?(Outcome(result: result, winner: winner, failed: failed))
    }

    /// One error that tells of every endpoint.
    static func combine(_ errors: [QiError]) -> QiError {
        guard var combined = errors.first else { return QiError(.offline, "there is no endpoint to dial") }
        guard errors.count > 1 else { return combined }
        // That a peer refuses us says more than that another of its addresses is dead.
        combined.code = errors.contains { $0.code == .denied } ? .denied : combined.code
        combined.message = errors.map(\.message).joined(separator: "; ")
        return combined
    }
}
