import NIOCore
import QiWire
import Synchronization

/// One call between the task that waits for it and the loop that carries it: gives it up when the task is cancelled. Most calls end
/// before they need one (``CallWaiter/task(_:)``).
final class CallFlight: Sendable {
    /// How the call ended. Small, for it is handed from function to function.
    enum Outcome: Sendable {
        case answer(CallAnswer)
        /// The value of a reply that had to be read on the loop, for it holds objects.
        indirect case value(Result<QiValue, QiError>)
    }

    /// What a task is told of the call that it made.
    enum Begun: Sendable {
        case answer(CallAnswer)
        /// It takes longer: how it ends is told by the flight.
        case lasting(CallFlight)
    }

    private struct State {
        var continuation: UnsafeContinuation<Outcome, Never>?
        var outcome: Outcome?
        var sent: (connection: UInt64, id: UInt32)?
        /// Ends its wait for the path of its object; runs on the loop.
        var stopWaiting: (@Sendable () -> Void)?
        var isCancelled = false
    }

    private let state = Mutex(State())

    /// Returns how the call ended. Called once.
    nonisolated(nonsending) func ended() async -> Outcome {
        await withUnsafeContinuation { continuation in
            let outcome = state.withLock { state in
                if state.outcome == nil { state.continuation = continuation }
                return state.outcome
            }
            if let outcome { continuation.resume(returning: outcome) }
        }
    }

    /// The call is on its way; answers whether it is still wanted.
    func sent(_ connection: UInt64, _ id: UInt32) -> Bool {
        state.withLock {
            $0.sent = (connection, id)
            return !$0.isCancelled
        }
    }

    /// The call waits until its object has a path; answers whether it is still wanted.
    ///
    /// - Parameter stop: ends the wait; runs on the loop.
    func waits(_ stop: @escaping @Sendable () -> Void) -> Bool {
        state.withLock {
            $0.stopWaiting = stop
            return !$0.isCancelled
        }
    }

    func complete(_ answer: CallAnswer) { complete(.answer(answer)) }

    func complete(_ outcome: Outcome) {
        let continuation = state.withLock { state in
            defer { state.continuation = nil }
            if state.outcome == nil { state.outcome = outcome }
            return state.continuation
        }
        continuation?.resume(returning: outcome)
    }

    /// On the loop: the task does not want the answer any more. Answers where the call was sent, if it was.
    func cancel() -> (connection: UInt64, id: UInt32)? {
        let (sent, stopWaiting) = state.withLock {
            $0.isCancelled = true
            return ($0.sent, $0.stopWaiting)
        }
        stopWaiting?()
        return sent
    }

    static var cancellation: QiError { QiError(.cancelled, "the call was cancelled") }
}

/// What is sent with a call: bytes, or values with objects in them, which are encoded for the connection they leave on.
enum CallContent: Sendable {
    case bytes(ByteBuffer, MessageFlags)
    /// As above, without flags, and what follows the bytes.
    indirect case parts(ByteBuffer, tail: ByteBuffer)
    indirect case values(QiValue, QiType, MessageFlags)
}
