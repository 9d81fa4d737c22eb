import DequeModule
import Logging
import NIOCore

/// All bytestreams of one XMPP connection: negotiates them (Jingle, XEP-0166 and XEP-0261), carries their bytes in band
/// (XEP-0047) and shares the connection fairly between them.
///
/// Everything is called on the stanza thread. The session calls ``received(_:)`` and
/// ``receivedData(from:id:sid:sequence:base64:)`` for requests of contacts with mutual subscription only; each of them is
/// answered through the sink exactly once, perhaps later.
///
/// The rules are in the machines (``BytestreamNegotiationStateMachine``, ``IBBStateMachine``, ``OutboundWindow``,
/// ``ByteBudget``, ``FairTurns``); this class finds the right one and carries out what it says, the negotiation in
/// `+Negotiation`, the bytes in `+Data`, every end in `+Ending`.
///
/// `@unchecked Sendable`: the stanza thread protects all state. Channels on event loops reach it through a `StanzaExecutor`.
final class BytestreamMultiplexer: XMPPExtension, @unchecked Sendable {
    /// Who takes the offers of one application.
    struct Handler: Sendable {
        let eventLoop: any EventLoop
        let accept: @Sendable (BytestreamOffer) -> BytestreamDecision
    }

    /// Names one call of ``open(to:application:on:deadline:initializer:completion:)``.
    struct OpeningID: Hashable, Sendable {
        let rawValue: UInt64
    }

    /// Sessions that ended lately are remembered, so that a peer that ends them too gets a plain result. At most so many.
    static let mostRemembered = 64

    /// Held weakly: the session owns both.
    weak var sink: (any StanzaSink)?
    let executor: any StanzaExecutor
    let limits: BytestreamLimits
    let logger: Logger
    let clock: @Sendable () -> NIODeadline

    var sessions: [UInt64: BytestreamSession] = [:] {
        didSet { counted(sessions.count) }
    }
    private let counted: (Int) -> Void
    var sessionsByID: [BytestreamSession.Key: BytestreamSession] = [:]
    var sessionsByTransport: [BytestreamSession.Key: BytestreamSession] = [:]
    var remembered = Deque<BytestreamSession.Key>()
    var handlers: [String: Handler] = [:]
    var budget: ByteBudget
    var turns = FairTurns<UInt64>()
    var isPumping = false
    /// Counts connections: answers to what an earlier one asked are not taken for answers of this one.
    var connection: UInt64 = 0
    /// Characters of the block that is sent just now.
    var characters: [UInt8]
    private var nextNumber: UInt64 = 0

    /// - Parameters:
    ///   - clock: replaced in tests.
    ///   - counted: hears how many sessions there are, after every change.
    init(
        sink: any StanzaSink, executor: any StanzaExecutor, limits: BytestreamLimits = BytestreamLimits(), logger: Logger,
        clock: @escaping @Sendable () -> NIODeadline = { .now() }, counted: @escaping (Int) -> Void = { _ in }
    ) {
        self.sink = sink
        self.counted = counted
        self.executor = executor
        self.limits = limits
        self.logger = logger
        self.clock = clock
        budget = ByteBudget(
            initial: limits.initialBudget, minimum: limits.blockSize, maximum: limits.maximumBudget)
        characters = [UInt8](repeating: 0, count: Base64.encodedCount(limits.blockSize))
    }

    // MARK: Registration

    let features = [Namespaces.jingle, Namespaces.jingleIBB, Namespaces.ibb]

    var requests: [RequestRule] {
        [Namespaces.jingle, Namespaces.ibb].map { namespace in
            RequestRule(namespace, from: [.contact]) { [self] in $0.kind == .set && received($0) ? .byExtension : nil }
        }
    }

    func left(_ resource: PresenceResource) { peerUnavailable(resource.jid) }

    func contactEnded(_ account: JID, _ reason: String) { contactRemoved(account, reason) }

    // MARK: Stanzas

    /// Takes an IQ set in Jingle's or IBB's namespace, and a `<data/>` that did not come by the fast path. False when it is
    /// something else and somebody else must answer it.
    func received(_ iq: IQRequest) -> Bool {
        switch (iq.payload.namespace, iq.payload.name) {
        case (Namespaces.jingle, "jingle"): receivedJingle(iq)
        case (Namespaces.ibb, "open"): receivedOpen(iq)
        case (Namespaces.ibb, "close"): receivedClose(iq)
        case (Namespaces.ibb, "data"): receivedDataElement(iq)
        default: return false
        }
        return true
    }

    /// Whether data of that stream is bounded by its own window and so exempt from the contact's token bucket.
    func isAcceptedStream(from peer: JID, sid: String) -> Bool {
        sessionsByTransport[BytestreamSession.Key(peer: peer, sid: sid)]?.driver != nil
    }

    /// Answers a request.
    func answer(_ iq: IQRequest, _ answer: Result<Element?, StanzaError>) {
        sink?.answer(to: iq.from, id: iq.id, with: answer)
    }

    /// Answers requests that waited for a channel which will never read their blocks.
    func answerUnread(_ ids: [String], of session: BytestreamSession) {
        for id in ids { sink?.answer(to: session.peer, id: id, with: .failure(.itemNotFound)) }
    }

    // MARK: Applications

    /// Opens a bytestream. Completes exactly once: with a channel that is active and initialised, or with `.streamRefused`,
    /// `.timedOut`, `.notConnected`, `.limitExceeded`, `.cancelled` or what ended the connection. `deadline` bounds the whole
    /// negotiation. The result names the attempt for ``cancelOpening(_:)``.
    @discardableResult
    func open(
        to peer: JID, application: Element, on loop: any EventLoop, deadline: NIODeadline,
        initializer: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>,
        completion: @escaping @Sendable (Result<any Channel, XMPPError>) -> Void
    ) -> OpeningID {
        let number = takeNumber()
        let plan = BytestreamSession.ChannelPlan(eventLoop: loop, initializer: initializer, completion: completion)
        if let refusal = initiate(number, to: peer, application: application, deadline: deadline, plan: plan) {
            completion(.failure(refusal))
        }
        return OpeningID(rawValue: number)
    }

    /// Gives an attempt up; nothing happens when it has completed.
    func cancelOpening(_ id: OpeningID) {
        guard let session = sessions[id.rawValue], session.negotiation.isNegotiating else { return }
        end(session, XMPPError(.cancelled, "the attempt was given up"), tell: JingleReason("cancel"))
    }

    /// Offers with an application element of that namespace go to `accept`, which is called on `loop` and must not block; the
    /// channels live there too. One handler per namespace: a second call replaces the first.
    func setHandler(
        applicationNamespace: String, on loop: any EventLoop,
        accept: @escaping @Sendable (BytestreamOffer) -> BytestreamDecision
    ) {
        handlers[applicationNamespace] = Handler(eventLoop: loop, accept: accept)
    }

    /// The number of a new session, never used twice.
    func takeNumber() -> UInt64 {
        nextNumber += 1
        return nextNumber
    }

    /// Whether one more session with that contact is allowed in that direction.
    func hasRoom(for peer: JID, _ role: BytestreamSession.Role) -> Bool {
        let contact = peer.bare
        var all = 0
        var ofContact = 0
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
        case of(BytestreamSession)
    }

    /// When all places are taken, the largest holder gives up the session that has been idle for longest, if it holds more than the
    /// newcomer would: so a few accounts cannot keep all others out. Nil when there is no room.
    func room(for peer: JID) -> Room? {
        if hasRoom(for: peer, .responder) { return .free }
        var held: [JID: [BytestreamSession]] = [:]
        for session in sessions.values where session.role == .responder { held[session.peer.bare, default: []].append(session) }
        let ofNewcomer = held[peer.bare]?.count ?? 0
        guard ofNewcomer < limits.streamsPerContact else { return nil }
        let largest = held.max { ($0.value.count, $1.key.description) < ($1.value.count, $0.key.description) }
        guard let largest, largest.value.count > ofNewcomer + 1 else { return nil }
        return largest.value.min { ($0.lastSign, $0.number) < ($1.lastSign, $1.number) }.map { .of($0) }
    }
}
