import Logging
import NIOCore

/// The in-band bytestreams of one XMPP connection (XEP-0047) as a transport of Jingle sessions (XEP-0261): opens them, carries their bytes,
/// and shares the connection fairly between them.
///
/// The rules are in the machines (``InBandNegotiationStateMachine``, ``IBBStateMachine``, ``OutboundWindow``, ``ByteBudget``,
/// ``FairTurns``); this class finds the right one and carries out what it says, the bytes in `+Data`, every end in `+Ending`.
///
/// `@unchecked Sendable`: the stanza thread protects all state. Channels on event loops reach it through a `StanzaExecutor`.
final class InBandBytestreams: XMPPExtension, @unchecked Sendable {
    /// Held weakly: the session owns them all.
    weak var sink: (any StanzaSink)?
    weak var owner: (any JingleTransportOwner)?
    let executor: any StanzaExecutor
    let limits: BytestreamLimits
    let logger: Logger
    let clock: @Sendable () -> NIODeadline

    var streams: [UInt64: InBandStream] = [:]
    var streamsByID: [StreamKey: InBandStream] = [:]
    var budget: ByteBudget
    var turns = FairTurns<UInt64>()
    var isPumping = false
    /// Whether bytes waited behind the block that was sent last.
    var hasBacklog = false
    /// What the server announced for this connection.
    var streamLimits = StreamLimits()
    /// What may be sent at one time after what earlier connections have shown, and what this one has done.
    var bound: SendingBound
    var use = SendingBound.Use()
    /// Hears of a bound that has become narrower.
    let learned: (SendingBound) -> Void
    var meter = ThroughputMeter()
    /// Counts connections: answers to what an earlier one asked are not taken for answers of this one.
    var connection: UInt64 = 0
    /// Characters of the block that is sent just now.
    var characters: [UInt8]

    init(
        sink: any StanzaSink, executor: any StanzaExecutor, limits: BytestreamLimits, logger: Logger,
        clock: @escaping @Sendable () -> NIODeadline, bound: SendingBound? = nil, learned: @escaping (SendingBound) -> Void = { _ in }
    ) {
        self.sink = sink
        self.executor = executor
        self.limits = limits
        self.logger = logger
        self.clock = clock
        self.bound = bound ?? SendingBound(block: limits.blockSize, budget: .max)
        self.learned = learned
        budget = ByteBudget(
            initial: limits.initialBudget, minimum: 2 * (Base64.encodedCount(limits.smallestBlock) + InBandStream.usualOverhead),
            maximum: limits.maximumBudget)
        characters = [UInt8](repeating: 0, count: Base64.encodedCount(limits.blockSize))
    }

    // MARK: Requests

    let features = [Namespaces.ibb, Namespaces.jingleIBB]

    var requests: [RequestRule] {
        [RequestRule(Namespaces.ibb, from: [.contact]) { [self] in $0.kind == .set && received($0) ? .byExtension : nil }]
    }

    /// Takes a request in IBB's namespace, also a `<data/>` that did not come by the fast path. False for one that XEP-0047 does not have.
    func received(_ iq: IQRequest) -> Bool {
        switch iq.payload.name {
        case "open": receivedOpen(iq)
        case "close": receivedClose(iq)
        case "data": receivedDataElement(iq)
        default: return false
        }
        return true
    }

    /// Whether data of that stream is bounded by its own window and so exempt from the contact's token bucket.
    func isAcceptedStream(from peer: JID, sid: String) -> Bool { streamsByID[StreamKey(peer: peer, sid: sid)]?.driver != nil }

    func answer(_ iq: IQRequest, _ answer: Result<Element?, StanzaError>) {
        sink?.answer(to: iq.from, id: iq.id, with: answer)
    }

    /// Answers requests that waited for a channel which will never read their blocks.
    func answerUnread(_ ids: [String], of stream: InBandStream) {
        for id in ids { sink?.answer(to: stream.peer, id: id, with: .failure(.itemNotFound)) }
    }

    // MARK: Negotiation

    private func add(_ number: UInt64, _ peer: JID, _ sid: String, _ negotiation: InBandNegotiationStateMachine) {
        let stream = InBandStream(number: number, peer: peer, sid: sid, negotiation, now: clock())
        streams[number] = stream
        streamsByID[stream.key] = stream
    }

    /// `<open/>`: the last step of an accepted session; anything else nobody asked for (XEP-0047 §2.1).
    private func receivedOpen(_ iq: IQRequest) {
        do throws(StanzaError) {
            guard iq.kind == .set else { throw .badRequest }
            let open = try IBBOpen(parsing: iq.payload)
            guard let stream = streamsByID[StreamKey(peer: iq.from, sid: open.sid)] else { throw .notAcceptable }
            switch stream.negotiation.received(open: open) {
            case .refuse(let error): throw error
            case .establish(let transport):
                answer(iq, .success(nil))
                establish(stream, transport)
            }
        } catch {
            answer(iq, .failure(error))
        }
    }

    private func openAnswered(_ result: Result<Element?, XMPPError>, _ stream: InBandStream) {
        switch result {
        case .success:
            if let transport = stream.negotiation.openAccepted() { establish(stream, transport) }
        case .failure(let error):
            owner?.failed(stream.number, XMPPError(refusal: error), tell: JingleReason("failed-transport"))
        }
    }

    /// The negotiation is done: makes the channel.
    private func establish(_ stream: InBandStream, _ transport: InBandTransport) {
        let number = stream.number
        guard let plan = owner?.opened(number) else { return }
        let link = BytestreamLink(
            eventLoop: plan.eventLoop, capacity: limits.sendBuffer, room: room, executor: executor,
            stanzaWork: { [weak self] in self?.serve(number) })
        stream.driver = IBBDriver(blockSize: transport.blockSize, link: link, limits: limits)
        logger.debug("bytestream open", metadata: metadata(of: stream))
        BytestreamChannel.start(
            link: link, acknowledgementDelay: TimeAmount(limits.acknowledgementDelay),
            initializer: { plan.initializer($0, BytestreamReport(kind: .inBand)) }, completion: plan.completion)
    }

    /// What log lines about a stream carry.
    func metadata(of stream: InBandStream) -> Logger.Metadata { [LogKeys.peer: "\(stream.peer)", LogKeys.streamID: "\(stream.sid)"] }
}

extension InBandBytestreams: JingleTransport {
    var namespace: String { Namespaces.jingleIBB }

    var usesConnection: Bool { true }
    var kind: BytestreamTransport.Kind { .inBand }

    func offer(
        _ number: UInt64, to peer: JID, as choice: BytestreamTransport, on loop: any EventLoop,
        completion: @escaping (Result<Element, XMPPError>) -> Void
    ) {
        let transport = InBandTransport(blockSize: largestBlock(), sid: StreamName.random())
        add(number, peer, transport.sid, .initiated(transport))
        completion(.success(transport.element))
    }

    func take(_ number: UInt64, _ transport: Element, of peer: JID) throws(JingleReason) {
        guard var transport = InBandTransport(parsing: transport) else { throw JingleReason("unsupported-transports") }
        guard streamsByID[StreamKey(peer: peer, sid: transport.sid)] == nil else {
            throw JingleReason("failed-transport", text: "that sid is in use")
        }
        transport.blockSize = min(transport.blockSize, limits.blockSize)
        add(number, peer, transport.sid, .offered(transport))
    }

    func accept(
        _ number: UInt64, as choice: BytestreamTransport?, on loop: any EventLoop, completion: @escaping (Element?) -> Void
    ) {
        completion(streams[number]?.negotiation.accept()?.element)
    }

    func peerAccepted(_ number: UInt64, _ transport: Element) -> Bool {
        guard let stream = streams[number], let transport = InBandTransport(parsing: transport),
            let open = stream.negotiation.peerAccepted(transport)
        else { return false }
        sink?.sendIQ(.set, to: stream.peer, payload: open.element, timeout: limits.acknowledgementTimeout) { [weak self] result in
            guard let self, let stream = self.streams[number], stream.driver == nil else { return }
            self.openAnswered(result, stream)
        }
        return true
    }

    func repeated(_ transport: Element) -> Element? { InBandTransport(parsing: transport)?.element }

    func lastSign(_ number: UInt64) -> NIODeadline? { streams[number]?.lastSign }
}
