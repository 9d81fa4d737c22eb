import Synchronization

/// Who wants to look again when something about the peers has changed. Only that it did is told: whoever is slow sees the newest
/// state, and nothing queues up.
final class PeerObservers: Sendable {
    private struct State {
        var continuations: [UInt64: AsyncStream<Void>.Continuation] = [:]
        var nextID: UInt64 = 1
        var isFinished = false
        /// Those of the observers that watch.
        var watching: Set<UInt64> = []
        var version: UInt64 = 0
    }

    private let state = Mutex(State())
    private let watched: @Sendable () -> Void

    /// - Parameter watched: called when somebody begins to watch.
    init(watched: @escaping @Sendable () -> Void = {}) { self.watched = watched }

    /// Whether somebody watches.
    var isWatched: Bool { state.withLock { !$0.watching.isEmpty } }

    /// How many changes there have been.
    var version: UInt64 { state.withLock { $0.version } }

    /// A stream with an element now and after each change; several changes may give one.
    ///
    /// - Parameter watches: whether the truth of each moment is wanted: as long as the stream lives, devices are asked whether they are
    ///   alive.
    func changes(watches: Bool = false) -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let id: UInt64? = state.withLock { state in
            guard !state.isFinished else { return nil }
            defer { state.nextID += 1 }
            state.continuations[state.nextID] = continuation
            if watches { state.watching.insert(state.nextID) }
            return state.nextID
        }
        continuation.yield()
        guard let id else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in
            self?.state.withLock { state in
                state.continuations[id] = nil
                state.watching.remove(id)
            }
        }
        if watches { watched() }
        return stream
    }

    func notify() {
        let continuations = state.withLock { state in
            state.version += 1
            return Array(state.continuations.values)
        }
        for continuation in continuations { continuation.yield() }
    }

    /// Ends every stream, and those that are asked for later.
    func finish() {
        let continuations = state.withLock { state in
            defer { state.continuations = [:] }
            state.isFinished = true
            return Array(state.continuations.values)
        }
        for continuation in continuations { continuation.finish() }
    }
}
