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

    /// How many calls run within each other on one thread.
    @TaskLocal private static var depth = 0
    private static let mostDepth = 16

    /// Runs `body` and answers its outcome, or why it was interrupted. The method begins on the thread of its caller, so that one which
    /// does not suspend costs no change of threads; but not on that of an actor or an event loop, which it may block.
    static func run(
        _ label: CallLabel, deadline: Duration, through handle: ProxyHandle, isolation: isolated (any Actor)? = #isolation,
        _ body: @escaping @Sendable () async throws -> QiValue
    ) async throws -> QiValue {
        let call = LocalCall()
        let depth = isolation == nil && MultiThreadedEventLoopGroup.currentEventLoop == nil ? Self.depth + 1 : 0
        let mayBegin = 1...mostDepth ~= depth
        try await withThrowingDiscardingTaskGroup { group in
            if mayBegin {
                group.addImmediateTask { await $depth.withValue(depth) { call.finish(await outcome(of: body)) } }
                if call.isFinished { return }
            } else {
                group.addTask(executorPreference: globalConcurrentExecutor) {
                    await $depth.withValue(0) { call.finish(await outcome(of: body)) }
                }
            }
            if try await !call.ends(label, deadline, handle) { group.cancelAll() }
        }
        return try call.result()
    }

    /// Returns when the method has ended, or is to be cancelled: answers which.
    private nonisolated(nonsending) func ends(_ label: CallLabel, _ deadline: Duration, _ handle: ProxyHandle) async throws -> Bool {
        let end = try handle.whenEnded { self.interrupt($0) }
        let timer = MultiThreadedEventLoopGroup.singleton.any().scheduleTask(in: TimeAmount(deadline)) {
            self.interrupt(QiError(.timedOut, "timed out after \(deadline.text) waiting for \(label)"))
        }
        defer {
            timer.cancel()
            handle.stopListening(end)
        }
        await withTaskCancellationHandler {
            await changed()
        } onCancel: {
            interrupt(QiError(.cancelled, "the call to \(label) was cancelled"))
        }
        return isFinished
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

/// What errors call a call: the object, if it is to be named, and the method; put together when there is an error.
struct CallLabel: Sendable, CustomStringConvertible {
    var object: String?
    let method: String
    var description: String { object.map { "\($0).\(method)" } ?? method }
}
