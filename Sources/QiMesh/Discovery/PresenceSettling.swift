import XMPP

/// Which presences may be what a server repeats at our login, and say nothing of now. A pure value: time comes in with the events.
struct PresenceSettling: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// How long after a login presences may still be on their way.
    static let time: Duration = .seconds(5)
    /// Connections that are remembered, more than a server announces in that time.
    static let most = 20_000

    private var onlineSince: Instant?
    /// Connections that were there and went since: they are repeated no more.
    private var gone: Set<JID> = []

    mutating func wentOnline(at now: Instant) {
        onlineSince = now
        gone = []
    }

    mutating func wentOffline() {
        onlineSince = nil
        gone = []
    }

    /// Whether presences may still be on their way.
    func isSettling(at now: Instant) -> Bool { onlineSince.map { now - $0 < Self.time } ?? false }

    /// A connection that was there goes.
    mutating func went(_ connection: JID, at now: Instant) {
        guard isSettling(at: now) else { return }
        if gone.count >= Self.most { gone.removeAll() }
        gone.insert(connection)
    }

    /// Whether a presence of that connection may be repeated. One of a connection that went since our login is its own: a device whose
    /// presence flaps then is not asked anew at each turn whether it is alive.
    func mayBeRepeated(_ connection: JID, at now: Instant) -> Bool { isSettling(at: now) && !gone.contains(connection) }
}
