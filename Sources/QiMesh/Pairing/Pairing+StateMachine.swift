/// How a device that was given a token pairs, as a value: what to do next, and when to give up.
///
/// ```
/// started ─▶ ask ──accepted──▶ pin ─▶ await the contact ──mutual──▶ finished
///             ▲ └─silent─▶ pause ┐            └─not yet─▶ subscribe again (at most twice a minute)
///             └──────────────────┘      refused, or out of time ─▶ failed
/// ```
///
/// The enrolling device may be offline, or its server may have dropped the token from the stored subscription request, as ejabberd
/// does (reference xmpp §5.3): the request that proves the token is repeated until somebody answers it.
struct PairingStateMachine: Sendable {
    enum Action: Equatable, Sendable {
        /// Send the request that proves the token.
        case ask
        /// Wait so long, or for a sign of life, then ask again.
        case pause(Duration)
        /// Pin the other device's key.
        case pin
        /// Wait so long for both sides to see each other.
        case awaitContact(Duration)
        /// Send the subscription request again.
        case subscribe
        case finish
        case fail(PairingFailure)
    }

    /// What came of a request.
    enum Outcome: Equatable, Sendable {
        /// The enrolling device made the token and sees the same addresses and keys.
        case accepted
        /// Somebody answered for it who did not make the token.
        case forged
        case refused(PairingRefusal)
        /// Nobody answered; why.
        case silent(String)
    }

    private enum State: Sendable {
        case idle
        case asking(attempts: Int)
        case accepted(waits: Int)
        case over
    }

    private var state = State.idle
    private let deadline: ContinuousClock.Instant
    private(set) var trouble = "it has not answered yet"

    init(deadline: ContinuousClock.Instant) { self.deadline = deadline }

    mutating func started() -> Action {
        guard case .idle = state else { return .finish }
        state = .asking(attempts: 1)
        return .ask
    }

    mutating func answered(_ outcome: Outcome, now: ContinuousClock.Instant) -> Action {
        guard case .asking(let attempts) = state else { return .finish }
        switch outcome {
        case .accepted:
            state = .accepted(waits: 0)
            return .pin
        case .refused(let refusal): return fail(.refused(refusal))
        case .forged: return fail(.forged)
        case .silent(let reason):
            trouble = reason
            guard now < deadline else { return fail(.unanswered(reason)) }
            // 1, 2, 4, 8, and then every 15 seconds.
            let pause = min(Duration.seconds(1 << min(attempts - 1, 4)), .seconds(15))
            return .pause(min(pause, deadline - now))
        }
    }

    mutating func paused(now: ContinuousClock.Instant) -> Action {
        guard case .asking(let attempts) = state else { return .finish }
        guard now < deadline else { return fail(.unanswered(trouble)) }
        state = .asking(attempts: attempts + 1)
        return .ask
    }

    /// The key is pinned, or the wait for the contact is over.
    mutating func looked(isMutual: Bool, now: ContinuousClock.Instant) -> Action {
        guard case .accepted(let waits) = state else { return .finish }
        if isMutual {
            state = .over
            return .finish
        }
        guard waits == 0 || now < deadline else { return fail(.noContact) }
        state = .accepted(waits: waits + 1)
        // ejabberd drops the sixth subscription stanza of a minute.
        return waits == 0 ? .awaitContact(.seconds(5)) : .subscribe
    }

    /// The subscription request is sent again.
    mutating func subscribed() -> Action {
        guard case .accepted = state else { return .finish }
        return .awaitContact(.seconds(20))
    }

    private mutating func fail(_ failure: PairingFailure) -> Action {
        state = .over
        return .fail(failure)
    }
}
