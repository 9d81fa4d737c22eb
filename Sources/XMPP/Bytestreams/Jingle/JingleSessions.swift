import DequeModule
import Logging
import NIOCore

/// All Jingle sessions of one XMPP connection (XEP-0166): negotiates them, bounds them, and ends them. How their bytes travel is the
/// business of transports, which it knows by ``JingleTransport``.
///
/// Everything is called on the stanza thread; a request is answered through the sink exactly once, perhaps later. What a session may do is
/// in ``JingleSessionStateMachine``; the negotiation is in `+Negotiation`, every end in `+Ending`.
///
/// `@unchecked Sendable`: the stanza thread protects all state. Applications on event loops reach it through a `StanzaExecutor`.
final class JingleSessions: XMPPExtension, @unchecked Sendable {
    /// Names one call of ``open(to:application:on:timeout:initializer:completion:)``.
    struct OpeningID: Hashable, Sendable {
        let rawValue: UInt64
    }

    /// Sessions that ended lately are remembered, so that a peer that ends them too gets a plain result. At most so many.
    static let mostRemembered = 64

    /// Held weakly: it owns this.
    weak var sink: (any StanzaSink)?
    let executor: any StanzaExecutor
    let limits: BytestreamLimits
    let logger: Logger
    let clock: @Sendable () -> NIODeadline

    private let transports: [any JingleTransport]

    var sessions: [UInt64: JingleSession] = [:] {
        didSet { counted(sessions.count + openings.count) }
    }
    /// Bytestreams of ours that wait for their turn.
    var openings: [UInt64: Opening] = [:] {
        didSet { counted(sessions.count + openings.count) }
    }
    var turns: OpeningTurns
    var isBeginning = false
    private let counted: (Int) -> Void
    var sessionsByID: [StreamKey: JingleSession] = [:]
    var remembered = Deque<StreamKey>()
    /// Of the applications.
    let handlers: ClientHandlers
    private var nextNumber: UInt64 = 0

    /// - Parameters:
    ///   - transports: those that may be used, each kind once.
    ///   - counted: hears how many sessions there are, with those that wait for their turn, after every change.
    init(
        sink: any StanzaSink, executor: any StanzaExecutor, transports: [any JingleTransport], limits: BytestreamLimits,
        handlers: ClientHandlers, logger: Logger, clock: @escaping @Sendable () -> NIODeadline, counted: @escaping (Int) -> Void
    ) {
        self.sink = sink
        self.counted = counted
        self.executor = executor
        self.transports = transports
        self.limits = limits
        self.handlers = handlers
        self.logger = logger
        self.clock = clock
        turns = OpeningTurns(
            places: limits.openingsAtOnce, mostWaiting: limits.openingsWaiting, patience: TimeAmount(limits.openingPatience),
            youth: TimeAmount(limits.youth))
    }

    /// The transport of that kind.
    func transport(_ kind: BytestreamTransport.Kind) -> (any JingleTransport)? { transports.first { $0.kind == kind } }

    /// The first of these `<transport/>` elements that we speak.
    func known(_ elements: [Element]) -> (transport: any JingleTransport, element: Element)? {
        for element in elements {
            if let transport = transports.first(where: { $0.namespace == element.namespace }) { return (transport, element) }
        }
        return nil
    }

    // MARK: Requests

    let features = [Namespaces.jingle]

    var requests: [RequestRule] {
        [RequestRule(Namespaces.jingle, from: [.contact]) { [self] in $0.kind == .set && received($0) ? .byExtension : nil }]
    }

    /// Takes a request in Jingle's namespace. False for one that XEP-0166 does not have.
    func received(_ iq: IQRequest) -> Bool {
        guard iq.payload.name == "jingle" else { return false }
        receivedJingle(iq)
        return true
    }

    /// Answers a request.
    func answer(_ iq: IQRequest, _ answer: Result<Element?, StanzaError>) {
        sink?.answer(to: iq.from, id: iq.id, with: answer)
    }

    // MARK: Applications

    /// Opens a bytestream. Completes exactly once: with a channel that is active and initialised, or with `.streamRefused`,
    /// `.timedOut`, `.notConnected`, `.limitExceeded`, `.cancelled` or what ended the connection. `timeout` bounds the whole
    /// negotiation, which begins when it is this one's turn. The result names the attempt for ``cancelOpening(_:)``.
    @discardableResult
    func open(
        to peer: JID, application: Element, over transport: BytestreamTransport = .inBand, timeout: TimeAmount, plan: ChannelPlan
    ) -> OpeningID {
        let number = takeNumber()
        let opening = Opening(
            number: number, peer: peer, application: application, transport: transport, timeout: timeout, plan: plan)
        if let refusal = begin(opening) { plan.completion(.failure(refusal)) }
        return OpeningID(rawValue: number)
    }

    /// The same in-band, for an application that needs no report.
    @discardableResult
    func open(
        to peer: JID, application: Element, on loop: any EventLoop, timeout: TimeAmount,
        initializer: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>,
        completion: @escaping @Sendable (Result<any Channel, XMPPError>) -> Void
    ) -> OpeningID {
        let plan = ChannelPlan(eventLoop: loop, initializer: { channel, _ in initializer(channel) }, completion: completion)
        return open(to: peer, application: application, timeout: timeout, plan: plan)
    }

    /// Gives an attempt up; nothing happens when it has completed.
    func cancelOpening(_ id: OpeningID) {
        let error = XMPPError(.cancelled, "the attempt was given up")
        guard !giveUp(id.rawValue, error), let session = sessions[id.rawValue], session.machine.isNegotiating else { return }
        end(session, error, tell: JingleReason("cancel"))
    }

    /// Offers with an application element of that namespace go to `accept`, which is called on `loop` and must not block; the
    /// channels live there too. One handler per namespace: a second call replaces the first.
    func setHandler(
        applicationNamespace: String, on loop: any EventLoop,
        accept: @escaping @Sendable (BytestreamOffer) -> BytestreamDecision
    ) {
        handlers.setOffer(applicationNamespace: applicationNamespace, BytestreamOfferHandler(eventLoop: loop, accept: accept))
    }

    /// The number of a new session, never used twice.
    func takeNumber() -> UInt64 {
        nextNumber += 1
        return nextNumber
    }

    /// Whether one more session with that contact is allowed in that direction, `besides` those that are to come.
    func hasRoom(
        for peer: JID, _ role: JingleSession.Role, besides: (all: Int, ofContact: Int) = (0, 0)
    ) -> Bool {
        let contact = peer.bare
        var (all, ofContact) = besides
        for session in sessions.values where session.role == role {
            all += 1
            if session.peer.bare == contact { ofContact += 1 }
        }
        return all < limits.streams && ofContact < limits.streamsPerContact
    }

    /// Where there is room for one more session that a contact opens towards us.
    enum Room {
        case free
        /// In the place of this one.
        case of(JingleSession)
    }

    /// When all places are taken, the largest holder gives up the session that has been idle for longest, if it holds more than the
    /// newcomer would: so a few accounts cannot keep all others out. Nil when there is no room.
    func room(for peer: JID) -> Room? {
        if hasRoom(for: peer, .responder) { return .free }
        var held: [JID: [JingleSession]] = [:]
        for session in sessions.values where session.role == .responder { held[session.peer.bare, default: []].append(session) }
        let ofNewcomer = held[peer.bare]?.count ?? 0
        guard ofNewcomer < limits.streamsPerContact else { return nil }
        let largest = held.max { ($0.value.count, $1.key.description) < ($1.value.count, $0.key.description) }
        guard let largest, largest.value.count > ofNewcomer + 1 else { return nil }
        func idle(_ session: JingleSession) -> (NIODeadline, UInt64) {
            (session.transport.lastSign(session.number) ?? .uptimeNanoseconds(0), session.number)
        }
        return largest.value.min { idle($0) < idle($1) }.map { .of($0) }
    }
}
