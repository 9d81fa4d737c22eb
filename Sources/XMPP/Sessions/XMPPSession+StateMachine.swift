import NIOCore

/// When to connect, to wait, to give up (reference `xmpp.md` §1.3, §6.6). A value: no clock, no chance, no socket.
///
/// ```
///  idle ─started─▶ connecting ─opened─▶ loading ─loaded─▶ online
///                     ▲   │ ended          │ ended          │ ended
///                     │   ▼                ▼                ▼
///                     └─ waiting ◀──────────────────────────┘      any ─shutdown / hopeless─▶ closing ▶ stopped
/// ```
/// libstrophe reports a wrong password as an orderly end and most other things as a number without meaning, so how far the
/// attempt had come decides what its end means.
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
        /// Try again then; connections and streams above fail with that error.
        case wait(Duration, XMPPError)
        /// Give up.
        case stop(XMPPError?)
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
    static let longestPause: Duration = .seconds(300)
    static let conflictPause: Duration = .seconds(60)
    /// A stream that stood so long makes the next pause the first again.
    static let stableAfter: TimeAmount = .seconds(60)

    private(set) var state: State = .idle
    private var pause = firstPause

    /// run() was called. True when connecting shall begin.
    mutating func started() -> Bool {
        guard case .idle = state else { return false }
        state = .connecting(.started)
        return true
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
        return true
    }

    /// Contacts are there. True when presence shall be sent.
    mutating func loaded() -> Bool {
        guard case .loading(let since) = state else { return false }
        state = .online(since: since)
        return true
    }

    /// Time went by.
    mutating func ticked(now: NIODeadline) -> OnTick {
        guard case .waiting(let until) = state, now >= until else { return .nothing }
        state = .connecting(.started)
        return .connect
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
    mutating func ended(_ end: StreamEnd, now: NIODeadline, chance: Double) -> OnEnd {
        switch state {
        case .closing, .stopped, .idle:
            state = .stopped
            return .stop(nil)
        case .waiting(let until):
            // Only if the library reported an end twice.
            return .wait((until - now).duration, XMPPError(.connectionLost, "The stream ended."))
        case .connecting(let progress):
            if let error = XMPPSessionStateMachine.hopeless(end, progress) {
                state = .stopped
                return .stop(error)
            }
            return wait(XMPPSessionStateMachine.failure(end, progress), end, now: now, chance: chance)
        case .loading(let since), .online(let since):
            if now - since >= XMPPSessionStateMachine.stableAfter { pause = XMPPSessionStateMachine.firstPause }
            return wait(XMPPSessionStateMachine.loss(end), end, now: now, chance: chance)
        }
    }

    private mutating func wait(_ error: XMPPError, _ end: StreamEnd, now: NIODeadline, chance: Double) -> OnEnd {
        var duration = pause * (0.75 + 0.5 * chance)
        pause = min(pause * 2, XMPPSessionStateMachine.longestPause)
        // Two connections with the same resource would throw each other out for ever.
        if end.streamError == "conflict" { duration = XMPPSessionStateMachine.conflictPause }
        state = .waiting(until: now + TimeAmount(duration))
        return .wait(duration, error)
    }

    // MARK: What an end means

    /// The error when trying again is useless.
    private static func hopeless(_ end: StreamEnd, _ progress: Progress) -> XMPPError? {
        if let fault = end.certificateFault {
            return XMPPError(
                .certificate,
                "The server's certificate was refused: \(fault). If the server has its own certificate authority, name its "
                    + "PEM file in the configuration; otherwise somebody may be listening in.")
        }
        switch end.streamError {
        case "host-unknown", "host-gone":
            return XMPPError(
                .configuration, "The server does not serve this domain. Check the account's address and the server's.")
        case "see-other-host":
            return XMPPError(
                .configuration,
                "The server wants to be reached at another host. Put that host into the configuration: "
                    + (end.streamErrorText ?? "it did not name it") + ".")
        case .some: return nil
        case nil: break
        }
        guard progress == .secured else { return nil }
        switch end.saslFailure {
        case "temporary-auth-failure", "aborted":
            return nil
        case let failure?:
            return XMPPError(
                .notAuthorized,
                "The server refused the login (\(failure)). Check the account's address and password.")
        case nil:
            // A clean end after TLS and before login, without a word: all login mechanisms were tried in vain.
            guard end.error == 0 else { return nil }
            return XMPPError(
                .notAuthorized, "The server ended the login. Check the account's address and password.")
        }
    }

    /// The error of an attempt that may succeed later.
    private static func failure(_ end: StreamEnd, _ progress: Progress) -> XMPPError {
        let detail = end.streamError ?? end.saslFailure ?? end.detail
        let suffix = detail.map { " (\($0))" } ?? ""
        return switch progress {
        case .started:
            XMPPError(
                .unreachable,
                "The server does not answer\(suffix). Check the network, the domain's DNS records and the server's address.")
        case .reached:
            XMPPError(
                .unreachable,
                "The server took the connection but TLS did not come about\(suffix). The port may belong to another "
                    + "service, or TLS may be switched off; logging in without it is not done.")
        case .secured:
            XMPPError(.unreachable, "The server ended the connection while logging in\(suffix).")
        }
    }

    /// The error of a stream that stood.
    private static func loss(_ end: StreamEnd) -> XMPPError {
        if end.streamError == "conflict" {
            return XMPPError(
                .conflict,
                "Another connection of the account took this resource. Stop the other one or give this one its own resource.")
        }
        let detail = [end.streamError, end.streamErrorText].compactMap { $0 }.joined(separator: ": ")
        return XMPPError(
            .connectionLost, "The connection to the server was lost" + (detail.isEmpty ? "." : " (\(detail))."))
    }
}

extension TimeAmount {
    /// The same time as the standard library writes it.
    var duration: Duration { .nanoseconds(nanoseconds) }
}
