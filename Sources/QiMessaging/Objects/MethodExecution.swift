import QiWire
import Synchronization

/// One call of a method that is user code: a task off the event loop, which a Cancel message cancels.
final class MethodExecution: Sendable {
    enum Outcome: Sendable {
        case success(QiValue)
        case failure(String)
        /// The method ended by throwing, after it was cancelled.
        case cancelled
    }

    typealias Body = @Sendable (_ arguments: [QiValue], _ context: CallContext) async throws -> QiValue

    private struct State {
        var outcome: Outcome?
        var isCancelled = false
        var waiter: UnsafeContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    /// Runs `body` on the global pool, for user code is not known to be safe on the loop. Returns where it was called.
    nonisolated(nonsending) func run(_ body: @escaping Body, _ arguments: [QiValue], _ context: CallContext) async -> Outcome {
        await withTaskGroup(of: Void.self) { group in
            group.addTask(executorPreference: globalConcurrentExecutor) {
                let outcome = await Self.outcome(of: body, arguments, context)
                self.change { $0.outcome = outcome }
            }
            await changed()
            if state.withLock({ $0.outcome == nil }) { group.cancelAll() }
            await group.waitForAll()
        }
        return state.withLock { state in
            if state.isCancelled, case .failure = state.outcome { return .cancelled }
            return state.outcome ?? .cancelled
        }
    }

    /// Asks the method to end; it decides whether and how.
    func cancel() { change { $0.isCancelled = true } }

    private static func outcome(of body: Body, _ arguments: [QiValue], _ context: CallContext) async -> Outcome {
        do {
            return .success(try await body(arguments, context))
        } catch let error as QiError {
            return .failure(error.description)
        } catch let error as WireError {
            return .failure(error.message)
        } catch {
            return .failure("\(error)")
        }
    }

    private func change(_ body: (inout State) -> Void) {
        let waiter = state.withLock { state in
            body(&state)
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// Returns when the method has ended or is to be cancelled.
    private nonisolated(nonsending) func changed() async {
        await withUnsafeContinuation { continuation in
            let isDue = state.withLock { state in
                if state.outcome != nil || state.isCancelled { return true }
                state.waiter = continuation
                return false
            }
            if isDue { continuation.resume() }
        }
    }
}
