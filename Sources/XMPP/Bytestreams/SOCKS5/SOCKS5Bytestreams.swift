import Logging
import NIOCore

/// The SOCKS5 bytestreams of one XMPP connection (XEP-0065) as a transport of Jingle sessions (XEP-0260): agrees with the peer on one TCP
/// connection, to each other or through a proxy, and hands that to the application.
///
/// The rules are in the machines (``SOCKS5CandidatesStateMachine``, ``SOCKS5ClientStateMachine``, ``SOCKS5ServerStateMachine``,
/// ``ProxyDiscoveryStateMachine``); this class finds the right one and carries out what it says: the offers here, the candidates in
/// `+Candidates`, the open socket and every end in `+Ending`.
///
/// `@unchecked Sendable`: the stanza thread protects all state. Sockets on event loops reach it through a `StanzaExecutor`.
final class SOCKS5Bytestreams: XMPPExtension, @unchecked Sendable {
    /// Held weakly: the session owns them all.
    weak var sink: (any StanzaSink)?
    weak var owner: (any JingleTransportOwner)?
    let executor: any StanzaExecutor
    let limits: SOCKS5Limits
    let handlers: ClientHandlers
    let logger: Logger
    let clock: @Sendable () -> NIODeadline
    let discovery: ProxyDiscovery
    let lookUps: HostLookUps

    var streams: [UInt64: SOCKS5Stream] = [:]
    var budget: DialBudget

    init(
        sink: any StanzaSink, executor: any StanzaExecutor, limits: SOCKS5Limits, handlers: ClientHandlers, lookUps: HostLookUps,
        logger: Logger, clock: @escaping @Sendable () -> NIODeadline
    ) {
        self.sink = sink
        self.executor = executor
        self.limits = limits
        self.handlers = handlers
        self.lookUps = lookUps
        self.logger = logger
        self.clock = clock
        budget = DialBudget(limits.dials)
        discovery = ProxyDiscovery(sink: sink, logger: logger, clock: clock)
    }

    /// Changes with the options of the client's owner.
    var features: [String] { isAvailable ? [Namespaces.jingleSOCKS5] : [] }

    /// Runs work about a stream on the stanza thread, unless the stream is gone by then.
    func enqueue(_ number: UInt64, _ work: @escaping @Sendable (SOCKS5Bytestreams, SOCKS5Stream) -> Void) {
        executor.execute { [weak self] in
            guard let self, let stream = self.streams[number] else { return }
            work(self, stream)
        }
    }

    /// The same for work that brings a socket, which is closed when the stream is gone.
    func enqueue(
        _ number: UInt64, with channel: any Channel, _ work: @escaping @Sendable (SOCKS5Bytestreams, SOCKS5Stream) -> Void
    ) {
        executor.execute { [weak self] in
            guard let self, let stream = self.streams[number] else { return channel.close(promise: nil) }
            work(self, stream)
        }
    }

    /// What log lines about a stream carry.
    func metadata(of stream: SOCKS5Stream) -> Logger.Metadata { [LogKeys.peer: "\(stream.peer)", LogKeys.streamID: "\(stream.sid)"] }
}

extension SOCKS5Bytestreams: JingleTransport {
    var namespace: String { Namespaces.jingleSOCKS5 }

    var kind: BytestreamTransport.Kind { .socks5 }

    var isAvailable: Bool { handlers.socks5?.isOn == true }

    // MARK: Offers

    func offer(
        _ number: UInt64, to peer: JID, as choice: BytestreamTransport, on loop: any EventLoop,
        completion: @escaping (Result<Element, XMPPError>) -> Void
    ) {
        guard case .socks5(let options) = choice, options.isOn, let ownJID = sink?.ownJID else {
            return completion(.failure(XMPPError(.configuration, "SOCKS5 bytestreams are switched off")))
        }
        let stream = SOCKS5Stream(
            number: number, peer: peer, sid: StreamName.random(), ownJID: ownJID, isInitiator: true, options: options, now: clock())
        stream.loop = loop
        streams[number] = stream
        prepare(stream, on: loop) { completion(.success($0.element)) }
    }

    func take(_ number: UInt64, _ transport: Element, of peer: JID) throws(JingleReason) {
        guard let options = handlers.socks5, options.isOn, let ownJID = sink?.ownJID else { throw JingleReason("unsupported-transports") }
        let transport = try read(transport)
        let key = StreamKey(peer: peer, sid: transport.sid)
        guard !streams.values.contains(where: { $0.key == key }) else {
            throw JingleReason("failed-transport", text: "that sid is in use")
        }
        if let text = refusal(of: peer) { throw JingleReason("busy", text: text) }
        let stream = SOCKS5Stream(
            number: number, peer: peer, sid: transport.sid, ownJID: ownJID, isInitiator: false, options: options, now: clock())
        stream.offered = transport
        streams[number] = stream
    }

    /// Why one more session that a peer offers is not negotiated now; nil when it is, for which another one may have been given up.
    private func refusal(of peer: JID) -> String? {
        let negotiated = streams.values.filter { !$0.isInitiator && $0.channel == nil }
        guard negotiated.count(where: { $0.peer.bare == peer.bare }) < limits.negotiationsPerContact else {
            return "\(limits.negotiationsPerContact) SOCKS5 bytestreams of yours are being negotiated: try again when one of them is"
        }
        guard negotiated.count >= limits.negotiations else { return nil }
        guard let other = displaceable(for: peer, among: negotiated) else {
            return "too many SOCKS5 bytestreams are being negotiated: try again later"
        }
        let text = "all \(limits.negotiations) places for SOCKS5 negotiations are taken, and \(other.peer.bare) held the most"
        let error = XMPPError(.limitExceeded, text)
        owner?.failed(other.number, error, tell: JingleReason("busy", text: text))
        lose(other.number, error)
        return nil
    }

    /// When all places are taken, the largest holder gives up its oldest one, if it holds more than the newcomer would: so a few accounts
    /// cannot keep all others out. Nil when none gives way.
    func displaceable(for peer: JID, among streams: [SOCKS5Stream]) -> SOCKS5Stream? {
        let held = Dictionary(grouping: streams) { $0.peer.bare }
        let largest = held.max { ($0.value.count, $1.key.description) < ($1.value.count, $0.key.description) }
        guard let largest, largest.value.count > (held[peer.bare]?.count ?? 0) + 1 else { return nil }
        return largest.value.min { ($0.begun, $0.number) < ($1.begun, $1.number) }
    }

    private func read(_ element: Element) throws(JingleReason) -> SOCKS5Transport {
        do throws(StanzaError) {
            return try SOCKS5Transport(parsing: element)
        } catch {
            guard error.condition == StanzaError.badRequest.condition else { throw JingleReason("unsupported-transports") }
            throw JingleReason("failed-transport", text: "the transport breaks its schema (XEP-0260 §8)")
        }
    }

    func accept(
        _ number: UInt64, as choice: BytestreamTransport?, on loop: any EventLoop, completion: @escaping (Element?) -> Void
    ) {
        guard let stream = streams[number], let offered = stream.offered else { return completion(nil) }
        if case .socks5(let options) = choice { stream.options = options }
        stream.loop = loop
        prepare(stream, on: loop) { [weak self] transport in
            completion(transport.element)
            // After session-accept: the peer dials nothing before it.
            guard let self, self.streams[number] === stream else { return }
            if stream.machine?.started(offered.candidates) == true { self.proceed(stream) }
        }
    }

    func peerAccepted(_ number: UInt64, _ transport: Element) -> Bool {
        guard let stream = streams[number] else { return false }
        do throws(JingleReason) {
            let transport = try read(transport)
            guard transport.sid == stream.sid else { return false }
            stream.offered = transport
        } catch {
            return false
        }
        guard stream.machine?.started(stream.offered?.candidates ?? []) == true else { return false }
        proceed(stream)
        return true
    }

    func repeated(_ transport: Element) -> Element? {
        // One that is broken is not repeated.
        do throws(StanzaError) {
            return SOCKS5Transport(sid: try SOCKS5Transport(parsing: transport).sid).element
        } catch {
            return nil
        }
    }

    func lastSign(_ number: UInt64) -> NIODeadline? {
        // What the socket carries is not seen here; one that is open is in use as far as anybody can tell.
        streams[number].map { $0.channel == nil ? $0.begun : clock() }
    }

    func report(_ number: UInt64) -> BytestreamReport? { streams[number]?.report }
}
