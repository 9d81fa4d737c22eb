import DequeModule
import Synchronization

/// Events on their way to one reader, which is on another thread as a rule. Bounded; one reader at a time.
final class EventQueue<Element: Sendable>: Sendable {
    private struct State {
        var events: Deque<Element> = []
        var waiting: UnsafeContinuation<Element?, Never>?
        var isFinished = false
        var dropped = 0
        var failure: QiError?
    }

    private let state = Mutex(State())
    private let buffering: EventBuffering

    init(_ buffering: EventBuffering) { self.buffering = buffering }

    /// How many events were dropped because the reader was slow.
    var dropped: Int { state.withLock { $0.dropped } }

    /// Why no more events come; nil while they may, and when the reader ended it.
    var failure: QiError? { state.withLock { $0.failure } }

    func push(_ event: Element) {
        let waiting = state.withLock { state -> UnsafeContinuation<Element?, Never>? in
            if state.isFinished { return nil }
            if let waiting = state.waiting {
                state.waiting = nil
                return waiting
            }
            guard state.events.count >= buffering.capacity else {
                state.events.append(event)
                return nil
            }
            state.dropped += 1
            if case .newest = buffering {
                state.events.removeFirst()
                state.events.append(event)
            }
            return nil
        }
        waiting?.resume(returning: event)
    }

    /// No more events: the reader gets what waits, then the end.
    func finish(_ error: QiError?) {
        let waiting = state.withLock { state in
            if !state.isFinished { state.failure = error }
            state.isFinished = true
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume(returning: nil)
    }

    /// The next event; nil at the end and when the task is cancelled.
    nonisolated(nonsending) func next() async -> Element? {
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                let ready: Element?? = state.withLock { state in
                    if let event = state.events.popFirst() { return .some(event) }
                    if state.isFinished || Task.isCancelled { return .some(nil) }
                    state.waiting?.resume(returning: nil)
                    state.waiting = continuation
                    return nil
                }
                if let ready { continuation.resume(returning: ready) }
            }
        } onCancel: {
            let waiting = state.withLock { state in
                defer { state.waiting = nil }
                return state.waiting
            }
            waiting?.resume(returning: nil)
        }
    }
}
