import Synchronization

extension Session {
    /// How a session stands with its directory.
    public enum State: Sendable {
        case connected
        /// The connection to the directory is lost, for this reason; the session comes back by itself. Proxies of services that have
        /// a connection of their own work meanwhile.
        case reconnecting(QiError)
        /// The session was closed.
        case closed

        public var isConnected: Bool { if case .connected = self { true } else { false } }
        public var isClosed: Bool { if case .closed = self { true } else { false } }
    }

    /// What a call does whose object has no path because the directory is away.
    public enum Gap: Sendable {
        /// It fails at once, with an error that says so and is retryable.
        case fail
        /// It waits for the path, at most until its deadline.
        case wait
    }
}

/// The present state, for any thread, and whoever follows it.
final class SessionStates: Sendable {
    private struct Followed {
        var state = Session.State.connected
        var followers: [UInt64: AsyncStream<Session.State>.Continuation] = [:]
        var nextFollower: UInt64 = 0
    }

    private let followed = Mutex(Followed())

    var current: Session.State { followed.withLock { $0.state } }

    func change(to state: Session.State) {
        let followers = followed.withLock { followed in
            // Closed is the last.
            if followed.state.isClosed { return [AsyncStream<Session.State>.Continuation]() }
            followed.state = state
            return Array(followed.followers.values)
        }
        for follower in followers {
            follower.yield(state)
            if state.isClosed { follower.finish() }
        }
    }

    /// The present state and those that follow; a slow reader gets the latest. Ends after `.closed`.
    func follow() -> AsyncStream<Session.State> {
        let (stream, continuation) = AsyncStream.makeStream(of: Session.State.self, bufferingPolicy: .bufferingNewest(1))
        let (state, id) = followed.withLock { followed in
            let id = followed.nextFollower
            followed.nextFollower += 1
            if !followed.state.isClosed { followed.followers[id] = continuation }
            // Inside, or a later state could be overtaken by this one.
            continuation.yield(followed.state)
            return (followed.state, id)
        }
        if state.isClosed { continuation.finish() }
        continuation.onTermination = { [weak self] _ in self?.followed.withLock { $0.followers[id] = nil } }
        return stream
    }
}
