import DequeModule
import Synchronization

/// A value that tells of its changes: in the order they were made, and with no lock held, so that whoever is told may read and
/// write it.
final class ValueCell<Value: Sendable>: Sendable {
    private struct State {
        var value: Value
        var changes: Deque<Value> = []
        var isTelling = false
    }

    private let state: Mutex<State>

    init(_ value: Value) { state = Mutex(State(value: value)) }

    var value: Value { state.withLock { $0.value } }

    /// Stores `value`, then tells of it; when a change is being told on another thread, that one tells of this too.
    func set(_ value: Value, telling tell: (Value) -> Void) {
        let mustTell = state.withLock { state in
            state.value = value
            state.changes.append(value)
            defer { state.isTelling = true }
            return !state.isTelling
        }
        guard mustTell else { return }
        while let change = nextChange() { tell(change) }
    }

    private func nextChange() -> Value? {
        state.withLock { state in
            let change = state.changes.popFirst()
            if change == nil { state.isTelling = false }
            return change
        }
    }
}
