import NIOCore

/// A way for the bytes of Jingle sessions to travel (XEP-0166 §8). A transport is one type that conforms to this, and an entry in
/// ``Bytestreams``; sessions know no other thing of it.
///
/// A session is named by its number. Everything is called on the stanza thread.
///
///     we offer:       offer ──▶ peerAccepted ──▶ (it opens) owner.opened
///     a peer offers:  take ──▶ accept ──▶ (the peer opens) owner.opened
///     the end:        close or lose, once each session, from any of these
protocol JingleTransport: AnyObject {
    /// Namespace of its `<transport/>`.
    var namespace: String { get }
    /// Whether the bytes of its streams travel on the XMPP connection itself, where few are set up at one time (``OpeningTurns``).
    var usesConnection: Bool { get }

    /// We offer a session. What goes into session-initiate.
    func offer(_ number: UInt64, to peer: JID) -> Element
    /// A peer offers a session over this `<transport/>`.
    /// - Throws: the reason for which the session ends at once.
    func take(_ number: UInt64, _ transport: Element, of peer: JID) throws(JingleReason)
    /// Our application accepts what the peer offered: it may open its stream now. What goes into session-accept.
    func accept(_ number: UInt64) -> Element?
    /// The peer accepts our offer, with this `<transport/>`: opens the stream. False when that is not what was offered.
    func peerAccepted(_ number: UInt64, _ transport: Element) -> Bool
    /// The peer ends the session in good order. True when there is a stream, which ends like a closed socket: what came before is still
    /// read, and ``JingleTransportOwner/finished(_:)`` follows.
    func peerEnded(_ number: UInt64) -> Bool
    /// The session ends in good order, with nothing left to send. `isPeerGone`: the peer has ended it and needs no goodbye.
    func close(_ number: UInt64, isPeerGone: Bool)
    /// The session ends at once, with that error for the channel.
    func lose(_ number: UInt64, _ error: XMPPError)
    /// When the peer last gave a sign of life on this session; nil for one that is not known.
    func lastSign(_ number: UInt64) -> NIODeadline?
    /// A `<transport/>` of a peer with nothing inside but what the specification names, so that it can be repeated; nil for a broken one.
    func repeated(_ transport: Element) -> Element?
}

extension JingleTransport {
    var usesConnection: Bool { false }
}

/// What transports tell of the streams of sessions.
protocol JingleTransportOwner: AnyObject {
    /// Bytes can travel. The channel to make; nil when the session has ended, and ends with this.
    func opened(_ number: UInt64) -> ChannelPlan?
    /// The first bytes of a stream on the XMPP connection arrived.
    func receivedFirstBytes(_ number: UInt64)
    /// The stream ended in good order.
    func finished(_ number: UInt64)
    /// The stream, or opening it, failed. `reason` is for the peer.
    func failed(_ number: UInt64, _ error: XMPPError, tell reason: JingleReason)
}

/// What is needed to make the channel when a session is established.
struct ChannelPlan: Sendable {
    let eventLoop: any EventLoop
    let initializer: @Sendable (any Channel) -> EventLoopFuture<Void>
    let completion: @Sendable (Result<any Channel, XMPPError>) -> Void
}

/// Names a session or its stream for one peer.
struct StreamKey: Hashable {
    /// A full address.
    let peer: JID
    let sid: String
}
