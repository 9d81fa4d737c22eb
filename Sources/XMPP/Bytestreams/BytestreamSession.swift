import NIOCore

/// One bytestream as the multiplexer keeps it, from the first step of its negotiation to its end. Confined to the stanza
/// thread.
final class BytestreamSession {
    /// Which side asked for it.
    enum Role {
        case initiator
        case responder
    }

    /// What is needed to make the channel when the negotiation is done.
    struct ChannelPlan: Sendable {
        let eventLoop: any EventLoop
        let initializer: @Sendable (any Channel) -> EventLoopFuture<Void>
        let completion: @Sendable (Result<any Channel, XMPPError>) -> Void
    }

    /// Names a session or its bytestream for one peer.
    struct Key: Hashable {
        let peer: JID
        let sid: String
    }

    let number: UInt64
    /// The peer's full address.
    let peer: JID
    /// Id of the Jingle session.
    let sid: String
    /// Id of the in-band bytestream.
    let transportSID: String
    let role: Role
    var negotiation: BytestreamNegotiationStateMachine
    /// Until the channel is made; a responder has it from its application's decision on.
    var plan: ChannelPlan?
    /// From the end of the negotiation on.
    var driver: IBBDriver?
    /// When it is given up; nil while its end is in sight by other means.
    var deadline: NIODeadline?
    /// When the peer last sent a block, or acknowledged one.
    var lastSign: NIODeadline
    /// Name of the session's only content, which the responder repeats.
    var contentName = JingleContent.onlyName
    /// Whether the peer has closed the bytestream.
    var isClosedByPeer = false
    /// Whether the peer has sent session-terminate.
    var isTerminatedByPeer = false

    init(
        number: UInt64, peer: JID, sid: String, transportSID: String, role: Role,
        negotiation: BytestreamNegotiationStateMachine, plan: ChannelPlan?, deadline: NIODeadline, now: NIODeadline
    ) {
        self.number = number
        self.peer = peer
        self.sid = sid
        self.transportSID = transportSID
        self.role = role
        self.negotiation = negotiation
        self.plan = plan
        self.deadline = deadline
        lastSign = now
    }

    var key: Key { Key(peer: peer, sid: sid) }
    var transportKey: Key { Key(peer: peer, sid: transportSID) }
}
