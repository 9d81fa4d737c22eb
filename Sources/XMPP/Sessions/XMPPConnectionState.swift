/// Where a client stands with its server.
public enum XMPPConnectionState: Sendable {
    /// ``XMPPClient/run()`` has not been called.
    case idle
    /// A connection is being made.
    case connecting
    /// Logged in; contacts were loaded and presence was sent.
    case online(since: ContinuousClock.Instant)
    /// The last connection failed or was lost; the next attempt comes after that time.
    case waiting(retryIn: Duration, reason: XMPPError)
    /// The server, or something of our own such as a password file, refuses the login, first at that time; a person has to mend it. The
    /// next attempt comes after that time, or with ``XMPPClient/tryNow()``.
    case refused(since: ContinuousClock.Instant, retryIn: Duration, reason: XMPPError)
    /// ``XMPPClient/run()`` is over; the error says why unless it was asked to stop.
    case stopped(XMPPError?)

    /// True in the state `online`.
    public var isOnline: Bool {
        if case .online = self { true } else { false }
    }
}
