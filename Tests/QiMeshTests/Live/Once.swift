import Synchronization

/// A value that comes once, for any number of waiters.
final class Once<Value: Sendable>: Sendable {
    private struct State {
        var result: Result<Value, any Error>?
        var waiters: [CheckedContinuation<Value, any Error>] = []
    }

    private let state = Mutex(State())

    /// The first result counts.
    func settle(_ result: Result<Value, any Error>) {
        let waiters = state.withLock { state in
            guard state.result == nil else { return [CheckedContinuation<Value, any Error>]() }
            state.result = result
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume(with: result) }
    }

    var value: Value {
        get async throws {
            try await withTaskCancellationHandler {
                try await withCheckedThrowingContinuation { continuation in
                    let known = state.withLock { state in
                        if state.result == nil { state.waiters.append(continuation) }
                        return state.result
                    }
                    if let known { continuation.resume(with: known) }
                }
            } onCancel: {
                // A test out of time; or one that failed elsewhere.
                settle(.failure(CancellationError()))
            }
        }
    }
}

/// Asks until there is an answer: for what nobody announces. Throws the last error, or says what did not happen.
func eventually<Value>(_ what: String, within time: Duration = .seconds(60), _ body: () async throws -> Value?) async throws -> Value {
    let end = ContinuousClock.now + time
    while true {
        do {
            if let value = try await body() { return value }
            if ContinuousClock.now > end { throw Missing(description: "within \(time) not: \(what)") }
        } catch {
            if ContinuousClock.now > end || error is CancellationError { throw error }
        }
        try await Task.sleep(for: .milliseconds(50))
    }
}

struct Missing: Error, CustomStringConvertible {
    let description: String
}
