import NIOCore
import NIOPosix
import QiWire
import Synchronization

/// One call within this process of a method that may take its time: a task of its own, which is cancelled when the caller is, when
/// the deadline passes, and when the service goes away. The call ends when the method does.
final class LocalCall: Sendable {
    typealias Outcome = Result<QiValue, any Error>

    private struct State {
        var outcome: Outcome?
        var interruption: QiError?
        var waiter: UnsafeContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    /// Runs `body` and answers its outcome, or why it was interrupted.
    static func run(
        _ label: String, deadline: Duration, through handle: ProxyHandle, _ body: @escaping @Sendable () async throws -> QiValue
    ) async throws -> QiValue {
        let call = LocalCall()
        let end = try handle.whenEnded { call.interrupt($0) }
        let timer = MultiThreadedEventLoopGroup.singleton.any().scheduleTask(in: TimeAmount(deadline)) {
            call.interrupt(QiError(.timedOut, "timed out after \(deadline.text) waiting for \(label)"))
        }
        defer {
            timer.cancel()
            handle.stopListening(end)
        }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { call.finish(await outcome(of: body)) }
            await withTaskCancellationHandler {
                await call.changed()
            } onCancel: {
                call.interrupt(QiError(.cancelled, "the call to \(label) was cancelled"))
            }
            if !call.isFinished { group.cancelAll() }
            await group.waitForAll()
        }
        return try call.result()
    }

    private static func outcome(of body: @Sendable () async throws -> QiValue) async -> Outcome {
        do { return .success(try await body()) } catch { return .failure(error) }
    }

    private var isFinished: Bool { state.withLock { $0.outcome != nil } }

    private func finish(_ outcome: Outcome) { change { $0.outcome = outcome } }

    private func interrupt(_ error: QiError) {
        change { state in if state.outcome == nil, state.interruption == nil { state.interruption = error } }
    }

    private func result() throws -> QiValue {
        let (outcome, interruption) = state.withLock { ($0.outcome, $0.interruption) }
        if let interruption { throw DynamicObject.Interruption(error: interruption) }
        guard let outcome else { throw CancellationError() }
        return try outcome.get()
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
                if state.outcome != nil || state.interruption != nil { return true }
                state.waiter = continuation
                return false
            }
            if isDue { continuation.resume() }
        }
    }
}
