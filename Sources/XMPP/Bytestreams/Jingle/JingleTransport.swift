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
    /// Names it for applications.
    var kind: BytestreamTransport.Kind { get }
    /// Whether peers' offers over it are taken at present.
    var isAvailable: Bool { get }

    /// We offer a session, whose channel will live on that loop. `completion` gets what goes into session-initiate, at once or later; never
    /// when the session has ended before.
    func offer(
        _ number: UInt64, to peer: JID, as choice: BytestreamTransport, on loop: any EventLoop,
        completion: @escaping (Result<Element, XMPPError>) -> Void)
    /// A peer offers a session over this `<transport/>`.
    /// - Throws: the reason for which the session ends at once.
    func take(_ number: UInt64, _ transport: Element, of peer: JID) throws(JingleReason)
    /// Our application accepts what the peer offered: it may open its stream now. `completion` gets what goes into session-accept, as for
    /// ``offer(_:to:as:on:completion:)``; nil when the stream is gone.
    ///
    /// - Parameter choice: what the application wants of the transport, if it is of its kind; nil: what the client's owner allows.
    func accept(
        _ number: UInt64, as choice: BytestreamTransport?, on loop: any EventLoop, completion: @escaping (Element?) -> Void)
    /// The peer accepts our offer, with this `<transport/>`: opens the stream. False when that is not what was offered.
    func peerAccepted(_ number: UInt64, _ transport: Element) -> Bool
    /// The peer says something about the transport (transport-info). `answer` is called once, before anything follows from it.
    func received(_ number: UInt64, _ info: Element, answer: (StanzaError?) -> Void)
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

    /// Whether the stream is open and its bytes travel without the XMPP stream: it goes on when that is lost, or the peer's is.
    func isIndependent(_ number: UInt64) -> Bool
    /// The XMPP stream is lost. True when the stream goes on without its session, which ends without a word.
    func detach(_ number: UInt64) -> Bool
    /// What became of the ways it tried; nil where there is no choice.
    func report(_ number: UInt64) -> BytestreamReport?
}

extension JingleTransport {
    var usesConnection: Bool { false }
    var isAvailable: Bool { true }
    func received(_ number: UInt64, _ info: Element, answer: (StanzaError?) -> Void) { answer(.unsupportedInfo) }
    func isIndependent(_ number: UInt64) -> Bool { false }
    func detach(_ number: UInt64) -> Bool { false }
    func report(_ number: UInt64) -> BytestreamReport? { nil }
}

/// What transports tell of the streams of sessions.
protocol JingleTransportOwner: AnyObject {
    /// Bytes can travel. The channel to make; nil when the session has ended, and ends with this.
    func opened(_ number: UInt64) -> ChannelPlan?
    /// The first bytes of a stream on the XMPP connection arrived.
    func receivedFirstBytes(_ number: UInt64)
    /// Something about the transport is to be said to the peer (transport-info). `refused` hears of an answer that is an error.
    func inform(_ number: UInt64, _ info: Element, refused: @escaping (XMPPError) -> Void)
    /// The stream ended in good order.
    func finished(_ number: UInt64)
    /// The stream, or opening it, failed. `reason` is for the peer.
    func failed(_ number: UInt64, _ error: XMPPError, tell reason: JingleReason)
}

/// What is needed to make the channel when a session is established.
struct ChannelPlan: Sendable {
    let eventLoop: any EventLoop
    let initializer: @Sendable (any Channel, BytestreamReport) -> EventLoopFuture<Void>
    let completion: @Sendable (Result<any Channel, XMPPError>) -> Void
}

/// Names a session or its stream for one peer.
struct StreamKey: Hashable {
    /// A full address.
    let peer: JID
    let sid: String
}
