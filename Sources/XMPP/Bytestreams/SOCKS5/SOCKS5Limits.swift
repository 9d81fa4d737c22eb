import NIOCore

/// Bounds of SOCKS5 bytestreams while they are negotiated. Every number a peer could push is here.
struct SOCKS5Limits: Sendable {
    var candidates = SOCKS5CandidatesStateMachine.Limits()
    /// Most addresses of ours that are offered for one session.
    var addresses = 8
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
