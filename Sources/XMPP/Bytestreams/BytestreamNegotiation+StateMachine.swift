/// The negotiation of one bytestream: a Jingle session (XEP-0166 §5) over the in-band transport (XEP-0261).
///
///     initiator:  proposed ── accept ──▶ opening ── result of <open/> ──▶ established
///     responder:  deciding ── we accept ──▶ accepted ── <open/> ──▶ established
///
/// Every state may go to `ended`. Other transports come into the same session later, between accept and established. A pure
/// value; deadlines are the caller's.
struct BytestreamNegotiationStateMachine: Sendable {
    private enum State {
        case proposed(InBandTransport)
        case opening(InBandTransport)
        case deciding(InBandTransport)
        case accepted(InBandTransport)
        case established
        case ended
    }

    private var state: State

    private init(_ state: State) {
        self.state = state
    }

    /// We sent a session-initiate with that transport.
    static func initiated(_ transport: InBandTransport) -> Self { Self(.proposed(transport)) }

    /// We received a session-initiate whose transport, with our block size, is that.
    static func offered(_ transport: InBandTransport) -> Self { Self(.deciding(transport)) }

    // MARK: Initiator

    /// What to do with a session-accept.
    enum OnAccept: Equatable {
        /// Acknowledge it and send this `<open/>`.
        case open(IBBOpen)
        /// Answer it with that error.
        case refuse(StanzaError)
        /// Acknowledge it and end the session for that reason.
        case terminate(JingleReason)
    }

    /// The peer accepts.
    mutating func received(accept message: JingleMessage) -> OnAccept {
        guard case .proposed(let proposed) = state else { return .refuse(.outOfOrder) }
        guard message.contents.count == 1, case .inBand(let transport) = message.contents[0].transport,
            transport.sid == proposed.sid, transport.blockSize <= proposed.blockSize
        else {
            // The responder may make blocks smaller, nothing else (XEP-0261 §2.2).
            state = .ended
            return .terminate(JingleReason("failed-transport", text: "that is not the transport that was offered"))
        }
        state = .opening(transport)
        return .open(IBBOpen(blockSize: transport.blockSize, sid: transport.sid))
    }

    /// The `<open/>` was accepted. The transport when that made the bytestream.
    mutating func openAccepted() -> InBandTransport? {
        guard case .opening(let transport) = state else { return nil }
        state = .established
        return transport
    }

    // MARK: Responder

    /// The application takes the offer. What to put into the session-accept; nil when the session has ended meanwhile.
    mutating func accept() -> InBandTransport? {
        guard case .deciding(let transport) = state else { return nil }
        state = .accepted(transport)
        return transport
    }

    /// What to do with an `<open/>`.
    enum OnOpen: Equatable {
        /// Acknowledge it: the bytestream is there.
        case establish(InBandTransport)
        /// Answer it with that error.
        case refuse(StanzaError)
    }

    /// The peer opens the bytestream.
    mutating func received(open: IBBOpen) -> OnOpen {
        guard case .accepted(var transport) = state, transport.sid == open.sid else { return .refuse(.notAcceptable) }
        // Too large a block is told apart from a refusal, so that the peer can try a smaller one (XEP-0047 §2.1).
        guard open.blockSize <= transport.blockSize else { return .refuse(.resourceConstraint) }
        transport.blockSize = open.blockSize
        state = .established
        return .establish(transport)
    }

    // MARK: Both

    /// What an end means.
    enum OnEnd: Equatable {
        /// It had ended before.
        case ignore
        /// There was no bytestream yet; the attempt has failed.
        case negotiationFailed
        /// The bytestream ends.
        case streamEnds
    }

    /// The session ends, whoever ended it.
    mutating func end() -> OnEnd {
        switch state {
        case .ended: return .ignore
        case .established:
            state = .ended
            return .streamEnds
        case .proposed, .opening, .deciding, .accepted:
            state = .ended
            return .negotiationFailed
        }
    }

    /// Whether there is no bytestream yet and none was given up.
    var isNegotiating: Bool {
        switch state {
        case .proposed, .opening, .deciding, .accepted: true
        case .established, .ended: false
        }
    }
}
