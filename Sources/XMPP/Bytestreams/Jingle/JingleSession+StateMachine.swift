/// One Jingle session with one content (XEP-0166 §5), whatever its transport.
///
///     initiator:  proposed ── accept ──▶ connecting ── the transport is open ──▶ established
///     responder:  deciding ── we accept ──▶ connecting ── the transport is open ──▶ established
///
/// Every state may go to `ended`. A pure value; deadlines are the caller's.
struct JingleSessionStateMachine: Sendable {
    private enum State {
        case proposed, deciding, connecting, established, ended
    }

    private var state: State

    private init(_ state: State) {
        self.state = state
    }

    /// We sent a session-initiate.
    static let initiated = Self(.proposed)

    /// We received a session-initiate.
    static let offered = Self(.deciding)

    /// The peer accepts. False when it may not.
    mutating func peerAccepted() -> Bool { pass(from: .proposed, to: .connecting) }

    /// Our application accepts. False when the session has ended meanwhile.
    mutating func accepted() -> Bool { pass(from: .deciding, to: .connecting) }

    /// The transport is open. False when the session has ended meanwhile.
    mutating func opened() -> Bool { pass(from: .connecting, to: .established) }

    private mutating func pass(from old: State, to new: State) -> Bool {
        guard state == old else { return false }
        state = new
        return true
    }

    /// The session ends, whichever side ended it. False when it had ended before.
    mutating func end() -> Bool {
        defer { state = .ended }
        return state != .ended
    }

    /// Whether it is not established yet and was not given up.
    var isNegotiating: Bool {
        switch state {
        case .proposed, .deciding, .connecting: true
        case .established, .ended: false
        }
    }
}
