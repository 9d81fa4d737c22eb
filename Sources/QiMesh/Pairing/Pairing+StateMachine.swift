/// How a device that was given a token pairs, as a value: what to do next, and when to give up.
///
/// ```
/// started ─▶ ask ──accepted──▶ pin ─▶ await the contact ──here──▶ ask again ──there too──▶ finished
///             ▲ └─silent─▶ pause ┐            ▲ └─not yet─▶ subscribe ──▶┘ │
///             └──────────────────┘            └─────────────not yet────────┘     refused, or out of time ─▶ failed
/// ```
///
/// A server may drop subscription stanzas, either way: ejabberd's `mod_pres_counter` lets five pass, and then none until a minute after
/// the last that passed; a device that pairs again soon after it was revoked meets that. So both sides are asked whether they see the other, and what
/// is missing is sent again: here by us, there when we ask.
///
/// The enrolling device may be offline, or its server may have dropped the token from the stored subscription request, as ejabberd
/// does (reference xmpp §5.3): the request that proves the token is repeated until somebody answers it.
struct PairingStateMachine: Sendable {
    enum Action: Equatable, Sendable {
        /// Send the request that proves the token; again, to hear whether we are a contact there.
        case ask
        /// Wait so long, or for a sign of life, then ask again.
        case pause(Duration)
        /// Pin the other device's key.
        case pin
        /// Wait so long for both sides to see each other.
        case awaitContact(Duration)
        /// Send again what makes the contact.
        case subscribe
        case finish
        case fail(PairingFailure)
    }

    /// What came of a request.
    enum Outcome: Equatable, Sendable {
        /// The enrolling device made the token and sees the same addresses and keys; whether we are a contact there.
        case accepted(isContact: Bool)
        /// Somebody answered for it who did not make the token.
        case forged
        case refused(PairingRefusal)
        /// Nobody answered; why.
        case silent(String)
    }

    private enum State: Sendable {
        case idle
        case asking(attempts: Int)
        /// The token is taken; whether we are a contact there, if that was asked since we see the device.
        case accepted(waits: Int, isContact: Bool?)
        case confirming(waits: Int)
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

    /// - Parameter isMutual: whether we and the device see each other.
    mutating func answered(_ outcome: Outcome, isMutual: Bool, now: ContinuousClock.Instant) -> Action {
        switch (state, outcome) {
        case (.asking, .refused(let refusal)), (.confirming, .refused(let refusal)): return fail(.refused(refusal))
        case (.asking, .forged), (.confirming, .forged): return fail(.forged)
        case (.asking, .accepted(let isContact)):
            state = .accepted(waits: 0, isContact: isContact ? true : nil)
            return .pin
        case (.asking(let attempts), .silent(let reason)):
            trouble = reason
            guard now < deadline else { return fail(.unanswered(reason)) }
            // 1, 2, 4, 8, and then every 15 seconds.
            let pause = min(Duration.seconds(1 << min(attempts - 1, 4)), .seconds(15))
            return .pause(min(pause, deadline - now))
        case (.confirming(let waits), _):
            let isContact = outcome == .accepted(isContact: true)
            if isContact, isMutual { return finish() }
            state = .accepted(waits: waits, isContact: isContact ? true : isMutual ? false : nil)
            return wait(waits, now)
        case (.idle, _), (.accepted, _), (.over, _): return .finish
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
        guard case .accepted(let waits, let isContact) = state else { return .finish }
        if isMutual, isContact == true { return finish() }
        if isMutual, isContact == nil {
            state = .confirming(waits: waits)
            return .ask
        }
        return waits == 0 ? wait(waits, now) : now < deadline ? .subscribe : fail(.noContact)
    }

    /// What makes the contact is sent again.
    mutating func subscribed() -> Action {
        guard case .accepted(let waits, _) = state else { return .finish }
        state = .confirming(waits: waits)
        return .ask
    }

    /// What a server drops for there was too much of it is not counted again; what it lets pass is.
    private mutating func wait(_ waits: Int, _ now: ContinuousClock.Instant) -> Action {
        guard case .accepted(_, let isContact) = state, waits == 0 || now < deadline else { return fail(.noContact) }
        state = .accepted(waits: waits + 1, isContact: isContact)
        return .awaitContact(waits == 0 ? .seconds(5) : .seconds(10))
    }

    private mutating func finish() -> Action {
        state = .over
        return .finish
    }

    private mutating func fail(_ failure: PairingFailure) -> Action {
        state = .over
        return .fail(failure)
    }
}
