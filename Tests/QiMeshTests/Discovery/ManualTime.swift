import Synchronization

@testable import QiMesh

/// A time that stands until it is moved.
final class ManualTime: Sendable {
    private struct State {
        var now = ContinuousClock.now
        var sleepers: [UInt64: (end: ContinuousClock.Instant, continuation: CheckedContinuation<Void, Never>)] = [:]
        var nextID: UInt64 = 1
    }

    private let state = Mutex(State())

    var now: ContinuousClock.Instant { state.withLock { $0.now } }

    /// The time for what is tested.
    var time: DeviceProbes.Time { .init(now: { self.now }, sleep: { await self.sleep($0) }) }

    /// Moves it, and wakes those whose time has come.
    func advance(_ duration: Duration) {
        let due = state.withLock { state in
            state.now += duration
            let due = state.sleepers.filter { $0.value.end <= state.now }
            for id in due.keys { state.sleepers[id] = nil }
            return due.values.map(\.continuation)
        }
        for continuation in due { continuation.resume() }
    }

    /// Returns when so many sleep until that long from now, or longer.
    func sleeping(_ count: Int, for duration: Duration) async {
        func isSo() -> Bool {
            state.withLock { state in state.sleepers.values.filter { $0.end - state.now >= duration }.count >= count }
        }
        while !isSo() { await Task.yield() }
    }

    private func sleep(_ duration: Duration) async {
        let id = state.withLock { state in
            defer { state.nextID += 1 }
            return state.nextID
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if Task.isCancelled { return true }
                    state.sleepers[id] = (state.now + duration, continuation)
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.sleepers.removeValue(forKey: id) }?.continuation.resume()
        }
    }
}
