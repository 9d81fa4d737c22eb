import NIOCore

/// When to connect, to wait, to follow. A value: no clock, no chance, no socket.
///
/// ```
///            ┌─── see-other-host ───┐
///            ▼                      │
///  idle ─started─▶ connecting ─opened─▶ loading ─loaded─▶ online
///                     ▲   │ ended          │ ended          │ ended
///                     │   ▼                ▼                ▼
///                     └─ waiting ◀──────────────────────────┘      any ─shutdown─▶ closing ▶ stopped
/// ```
/// Nothing that a server says ends it: what a person has to mend is tried again after minutes, everything else soon. A login ends both
/// back-offs, unless the streams after it end at once again and again.
struct XMPPSessionStateMachine {
    /// How far a connection attempt has come.
    enum Progress: Int, Comparable, Sendable {
        case started, reached, secured

        static func < (left: Progress, right: Progress) -> Bool { left.rawValue < right.rawValue }
    }

    enum State {
        case idle
        case connecting(Progress)
        /// Logged in; the contact list is on its way.
        case loading(since: NIODeadline)
        case online(since: NIODeadline)
        case waiting(until: NIODeadline)
        /// The stream is being ended on request.
        case closing
        case stopped
    }

    /// What follows the end of a stream.
    enum OnEnd {
        /// Try again then; connections and streams above fail with that error. `needsPerson`: it will not go well by itself.
        case wait(Duration, XMPPError, needsPerson: Bool)
        /// Connect there at once.
        case follow(XMPPConfiguration.Server, XMPPError)
        /// It was asked to stop.
        case stop
    }

    enum OnTick: Equatable { case nothing, connect }

    enum OnShutdown: Equatable {
        /// Nothing is connected: stop now.
        case stop
        /// Say goodbye and end the stream; its end stops.
        case close
        /// Cut the attempt short; its end stops.
        case abort
        case nothing
    }

    static let firstPause: Duration = .seconds(1)
    static let longestPause: Duration = .seconds(60)
    /// Pauses where a person is needed. A server that bans addresses after a number of refusals (ejabberd's `mod_fail2ban`: 20 in an
    /// hour) does not reach that number.
    static let firstRefusalPause: Duration = .seconds(60)
    static let longestRefusalPause: Duration = .seconds(900)
    static let conflictPause: Duration = .seconds(60)
    /// A stream that ends sooner is suspicious; after ``suddenEndsAllowed`` of them in a row the pauses grow although each login went well.
    static let suddenEnd: TimeAmount = .seconds(10)
    static let suddenEndsAllowed = 2
    /// Most other hosts that are followed, one after the other, before a stream that lasts longer than ``suddenEnd``: a cluster may well
    /// send an account on after each login.
    static let longestTrail = 3

    private(set) var state: State = .idle
    private var pause = firstPause
    private var refusalPause = firstRefusalPause
    private var suddenEnds = 0
    private var trail = 0
    /// Something changed since the attempt under way began.
    private var isEncouraged = false

    /// run() was called. True when connecting shall begin.
    mutating func started() -> Bool {
        guard case .idle = state else { return false }
        begin()
        return true
    }

    /// An attempt begins, and reads everything anew.
    private mutating func begin() {
        state = .connecting(.started)
        isEncouraged = false
    }

    /// The attempt came so far.
    mutating func progressed(to progress: Progress) {
        guard case .connecting(let current) = state, progress > current else { return }
        state = .connecting(progress)
    }

    /// Logged in. True when contacts shall be loaded.
    mutating func opened(now: NIODeadline) -> Bool {
        guard case .connecting = state else { return false }
        state = .loading(since: now)
        isEncouraged = false
        return true
    }

    /// Contacts are there. True when presence shall be sent.
    mutating func loaded() -> Bool {
        guard case .loading(let since) = state else { return false }
        state = .online(since: since)
        pause = XMPPSessionStateMachine.firstPause
        refusalPause = XMPPSessionStateMachine.firstRefusalPause
        return true
    }

    /// Time went by.
    mutating func ticked(now: NIODeadline) -> OnTick {
        guard case .waiting(let until) = state, now >= until else { return .nothing }
        begin()
        return .connect
    }

    /// Something changed that may let the next attempt go well: the pause is over, or the one after the attempt under way is short, as that
    /// attempt may have read what was there before. True when there was a pause.
    mutating func encouraged(now: NIODeadline) -> Bool {
        switch state {
        case .waiting:
            state = .waiting(until: now)
            return true
        case .connecting:
            isEncouraged = true
            return false
        case .idle, .loading, .online, .closing, .stopped:
            return false
        }
    }

    /// The client shall stop.
    mutating func shutdown() -> OnShutdown {
        switch state {
        case .idle, .waiting:
            state = .stopped
            return .stop
        case .connecting:
            state = .closing
            return .abort
        case .loading, .online:
            state = .closing
            return .close
        case .closing, .stopped:
            return .nothing
        }
    }

    /// The stream ended, or the attempt failed. `chance` is uniform in 0..<1.
    mutating func ended(_ end: StreamEnd, at place: StreamEnd.Place, now: NIODeadline, chance: Double) -> OnEnd {
        switch state {
        case .closing, .stopped, .idle:
            state = .stopped
            return .stop
        case .waiting(let until):
            // Only if the library reported an end twice.
            return .wait((until - now).duration, XMPPError(.connectionLost, "the stream ended"), needsPerson: false)
        case .connecting(let progress):
            return follows(end.meaningOfAttempt(progress, at: place), now: now, chance: chance)
        case .loading:
            return follows(end.meaningOfLoss(at: place), now: now, chance: chance)
        case .online(let since):
            if now - since < XMPPSessionStateMachine.suddenEnd {
                suddenEnds += 1
            } else {
                suddenEnds = 0
                trail = 0
            }
            if suddenEnds > XMPPSessionStateMachine.suddenEndsAllowed {
                let doublings = min(suddenEnds - XMPPSessionStateMachine.suddenEndsAllowed, 6)
                pause = min(XMPPSessionStateMachine.firstPause * (1 << doublings), XMPPSessionStateMachine.longestPause)
            }
            return follows(end.meaningOfLoss(at: place), now: now, chance: chance)
        }
    }

    private mutating func follows(_ meaning: StreamEnd.Meaning, now: NIODeadline, chance: Double) -> OnEnd {
        if case .elsewhere(let server) = meaning.remedy, trail < XMPPSessionStateMachine.longestTrail {
            trail += 1
            begin()
            return .follow(server, meaning.error)
        }
        let isLost = trail >= XMPPSessionStateMachine.longestTrail
        trail = 0
        let jitter = 0.75 + 0.5 * chance
        var duration = pause * jitter
        if isEncouraged {
            duration = XMPPSessionStateMachine.firstPause * jitter
        } else if meaning.remedy == .person {
            duration = refusalPause * jitter
            refusalPause = min(refusalPause * 2, XMPPSessionStateMachine.longestRefusalPause)
        } else if meaning.error.code == .conflict {
            // Two connections with the same resource would throw each other out for ever.
            duration = XMPPSessionStateMachine.conflictPause
        } else {
            pause = min(pause * 2, XMPPSessionStateMachine.longestPause)
        }
        state = .waiting(until: now + TimeAmount(duration))
        var error = meaning.error
        if isLost, case .elsewhere = meaning.remedy { error.message += ", like those before it" }
        return .wait(duration, error, needsPerson: meaning.remedy == .person)
    }
}

extension TimeAmount {
    /// The same time as the standard library writes it.
    var duration: Duration { .nanoseconds(nanoseconds) }
}
