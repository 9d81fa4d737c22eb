/// How two sides agree on one in-band bytestream inside a Jingle session (XEP-0261 §2).
///
///     initiator:  proposed ── the peer's transport ──▶ opening ── result of <open/> ──▶ open
///     responder:  taken ── we accept ──▶ accepted ── <open/> ──▶ open
///
/// A pure value; the session's end ends it.
struct InBandNegotiationStateMachine: Sendable {
    private enum State {
        case proposed(InBandTransport)
        case opening(InBandTransport)
        case taken(InBandTransport)
        case accepted(InBandTransport)
        case open
    }

    private var state: State

    private init(_ state: State) {
        self.state = state
    }

    /// We offered that.
    static func initiated(_ transport: InBandTransport) -> Self { Self(.proposed(transport)) }

    /// A peer offered that, with our block size.
    static func offered(_ transport: InBandTransport) -> Self { Self(.taken(transport)) }

    // MARK: Initiator

    /// The peer accepts with that transport. The `<open/>` to send; nil when it is not what was offered: the responder may make blocks
    /// smaller, nothing else (XEP-0261 §2.2).
    mutating func peerAccepted(_ transport: InBandTransport) -> IBBOpen? {
        guard case .proposed(let proposed) = state, transport.sid == proposed.sid, transport.blockSize <= proposed.blockSize else {
            return nil
        }
        state = .opening(transport)
        return IBBOpen(blockSize: transport.blockSize, sid: transport.sid)
    }

    /// The `<open/>` was accepted. The transport when that made the bytestream.
    mutating func openAccepted() -> InBandTransport? {
        guard case .opening(let transport) = state else { return nil }
        state = .open
        return transport
    }

    // MARK: Responder

    /// The application takes the offer. What to put into the session-accept.
    mutating func accept() -> InBandTransport? {
        guard case .taken(let transport) = state else { return nil }
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
        state = .open
        return .establish(transport)
    }
}
