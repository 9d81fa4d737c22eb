import NIOCore

/// One Jingle session, from its first step to its end (XEP-0166). Confined to the stanza thread.
final class JingleSession {
    /// Which side asked for it.
    enum Role {
        case initiator
        case responder
    }

    let number: UInt64
    /// The peer's full address, and the session's id.
    let key: StreamKey
    let role: Role
    /// How its bytes travel.
    let transport: any JingleTransport
    var machine: JingleSessionStateMachine
    /// Until the channel is made; a responder has it from its application's decision on.
    var plan: ChannelPlan?
    /// When its negotiation is given up; nil from its end on.
    var deadline: NIODeadline?
    /// Name of the session's only content, which the responder repeats.
    let contentName: String
    /// Whether the peer has heard of it: a session that we offer exists for the peer once session-initiate is sent.
    var isKnownToPeer: Bool
    /// Whether the peer has sent session-terminate.
    var isTerminatedByPeer = false

    init(
        number: UInt64, _ key: StreamKey, _ role: Role, over transport: any JingleTransport, plan: ChannelPlan? = nil,
        deadline: NIODeadline, contentName: String = JingleContent.onlyName
    ) {
        self.number = number
        self.key = key
        self.role = role
        self.transport = transport
        machine = role == .initiator ? .initiated : .offered
        self.plan = plan
        self.deadline = deadline
        self.contentName = contentName
        isKnownToPeer = role == .responder
    }

    var peer: JID { key.peer }
    var sid: String { key.sid }
}
