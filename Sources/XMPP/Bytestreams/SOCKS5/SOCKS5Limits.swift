import NIOCore

/// Bounds of SOCKS5 bytestreams while they are negotiated. Every number a peer could push is here.
struct SOCKS5Limits: Sendable {
    var candidates = SOCKS5CandidatesStateMachine.Limits()
    /// Candidates of peers that are dialled.
    var dials = DialBudget.Limits()
    /// Most addresses of ours that are offered for one session.
    var addresses = 8
    /// Most sessions of one contact (bare address), and of all, that it offered and that have no socket yet: each has up to so many
    /// listening sockets. When all places are taken the contact with the most gives one up for one that would have fewer.
    var negotiationsPerContact = 4
    var negotiations = 32
    /// Most sockets with one contact, and with all, that outlive their sessions when the XMPP connection is lost: of those that we opened,
    /// and as many of those that contacts did. When all places are taken it is as with sessions.
    var detachedPerContact = 4
    var detached = 64
    /// How long a dial may take, from the look-up of a proxy's name to the end of the SOCKS5 handshake.
    var dial: TimeAmount = .seconds(2)
    /// Most addresses of one candidate that are dialled, and the pause between their beginnings.
    var addressesPerDial = 4
    var addressStagger: TimeAmount = .milliseconds(250)
    /// Most connections to one session's streamhosts that are in their handshake or wait to be used.
    var waiting = 16
    /// How long the handshake of one of them may take.
    var handshake: TimeAmount = .seconds(2)
    /// How long an offer waits for a discovery of proxies that is under way.
    var discovery: TimeAmount = .seconds(2)
    /// How long our proxy may take to activate a bytestream.
    var activation: Duration = .seconds(5)
    /// How long a socket stays open after its peer has ended the session, for bytes that are still under way.
    var linger: TimeAmount = .seconds(2)
}
