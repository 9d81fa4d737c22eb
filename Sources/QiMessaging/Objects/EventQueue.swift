import DequeModule
import Synchronization

/// Events on their way to one reader, which is on another thread as a rule. Bounded; one reader at a time.
final class EventQueue<Element: Sendable>: Sendable {
    private struct State {
        var events: Deque<SignalEvent<Element>> = []
        var waiting: UnsafeContinuation<SignalEvent<Element>?, Never>?
        var isFinished = false
        var dropped = 0
        /// Those that were left out since the last one that was taken.
        var missed = 0
        var failure: QiError?
    }

    private let state = Mutex(State())
    private let buffering: EventBuffering

    init(_ buffering: EventBuffering) { self.buffering = buffering }

    /// How many events were dropped because the reader was slow.
    var dropped: Int { state.withLock { $0.dropped } }

    /// Why no more events come; nil while they may, and when the reader ended it.
    var failure: QiError? { state.withLock { $0.failure } }

    /// So many were left out on the way before the next one.
    func leftOut(_ count: Int) { state.withLock { $0.missed = EventGap.sum($0.missed, count) } }

    func push(_ value: Element) {
        var event = SignalEvent(value: value, missed: 0)
        let waiting = state.withLock { state -> UnsafeContinuation<SignalEvent<Element>?, Never>? in
            if state.isFinished { return nil }
            event.missed = state.missed
            state.missed = 0
            if let waiting = state.waiting {
                state.waiting = nil
                return waiting
            }
            guard state.events.count >= buffering.capacity else {
                state.events.append(event)
                return nil
            }
            state.dropped += 1
            if case .oldest = buffering {
                state.missed = EventGap.sum(event.missed, 1)
                return nil
            }
            let oldest = state.events.removeFirst()
            state.events.append(event)
            // There is a first one.
            state.events[0].missed = EventGap.sum(state.events[0].missed, EventGap.sum(oldest.missed, 1))
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
    nonisolated(nonsending) func next() async -> SignalEvent<Element>? {
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                let ready: SignalEvent<Element>?? = state.withLock { state in
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
