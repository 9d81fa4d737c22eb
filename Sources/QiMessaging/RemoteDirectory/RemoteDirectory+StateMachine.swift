import QiWire

extension RemoteDirectory {
    /// How far a directory elsewhere is joined. Pure: no clock, no connection, no object.
    ///
    /// ```
    ///            sought               joined
    ///   away ──────────────▶ joining ────────▶ up        any ── ended ──▶ ended
    ///    ▲ ▲      failed        │              │
    ///    │ └────────────────────┘              │
    ///    └──────────────────────────── lost ───┘
    /// ```
    /// Waiters of an attempt hear how it went, whatever that was.
    struct StateMachine<Waiter> {
        private enum State {
            case away(QiError)
            case joining(QiError, [Waiter])
            case up
            case ended(QiError)
        }

        private var state: State
        /// Whether somebody sees to it that it is joined again.
        private(set) var isComingBack = false
        /// What was said last of why it is not reached.
        private var told: String?

        /// - Parameter reason: why it cannot be used before the first attempt.
        init(_ reason: QiError) { state = .away(reason) }

        var isUp: Bool { if case .up = state { true } else { false } }

        /// Why it cannot be used now; nil while it can.
        var away: QiError? {
            switch state {
            case .up: nil
            case .away(let error), .joining(let error, _), .ended(let error): error
            }
        }

        enum OnSought {
            /// It can be used.
            case isUp
            /// An attempt begins.
            case join
            /// One is under way; the waiter hears of it.
            case wait
            case fail(QiError)
        }

        /// It is needed now.
        mutating func sought(by waiter: Waiter) -> OnSought {
            switch state {
            case .up: return .isUp
            case .joining(let reason, let waiters):
                state = .joining(reason, waiters + [waiter])
                return .wait
            case .away(let reason):
                state = .joining(reason, [waiter])
                return .join
            case .ended(let error): return .fail(error)
            }
        }

        /// The attempt went well. Nil when it was ended meanwhile.
        mutating func joined() -> [Waiter]? {
            guard case .joining(_, let waiters) = state else { return nil }
            state = .up
            told = nil
            return waiters
        }

        /// The attempt failed.
        ///
        /// - Returns: who hears of it, and whether the reason is another than that of the attempt before.
        mutating func failed(_ error: QiError) -> (waiters: [Waiter], isNews: Bool) {
            guard case .joining(_, let waiters) = state else { return ([], false) }
            state = .away(error)
            defer { told = error.message }
            return (waiters, told != error.message)
        }

        /// Its connection is lost. False when that was not in use any more.
        mutating func lost(_ error: QiError) -> Bool {
            guard case .up = state else { return false }
            state = .away(error)
            return true
        }

        /// It shall be joined again and again until that goes well. False when that is seen to already, or it has ended.
        mutating func comesBack() -> Bool {
            if case .ended = state { return false }
            defer { isComingBack = true }
            return !isComingBack
        }

        mutating func cameBack() { isComingBack = false }

        /// It is not wanted any more, for good.
        mutating func ended(_ error: QiError) -> [Waiter] {
            defer { state = .ended(error) }
            if case .joining(_, let waiters) = state { return waiters }
            return []
        }

        /// Why it is not wanted any more; nil while it is.
        var endReason: QiError? { if case .ended(let error) = state { error } else { nil } }

        var isEnded: Bool { endReason != nil }
    }
}
