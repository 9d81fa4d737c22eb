import Logging
import NIOCore

/// The stream of one account, over all its reconnects: executes what ``XMPPSessionStateMachine`` decides, answers requests,
/// keeps contacts current. Confined to the thread of its ``StropheLoop``; ``SessionHost`` is the way in.
final class XMPPSession: StropheConnectionOwner, StropheTicking {
    /// Who waits for an answer.
    enum Waiter {
        case element((Result<Element?, XMPPError>) -> Void)
        case block((Result<Void, XMPPError>) -> Void)
    }

    /// How long an attempt may take before it is cut: TLS in libstrophe has no deadline of its own.
    private static let attemptLimit: TimeAmount = .seconds(30)

    let configuration: XMPPConfiguration
    let delegate: (any XMPPClientDelegate)?
    let contacts: ContactBook
    let logger: Logger
    private let loop: StropheLoop
    private let status: ClientStatus
    private let timekeeper: any EventLoop
    private let interruptible: InterruptibleAttempt

    /// The full address to log in as.
    private var login: JID
    private var machine = XMPPSessionStateMachine()
    private var connection: StropheConnection?
    private var addresses = ServerAddresses()
    private var retriesAtOnce = false
    /// The host that the last one sent us to; until it was tried.
    private var otherServer: XMPPConfiguration.Server?
    private var refusedSince: ContinuousClock.Instant?
    private var readsSeen: UInt = 0
    private var watchdog: Scheduled<Void>?
    private var keepAlive = KeepAlive(now: .now())
    /// Bytes of a stanza that the server takes (XEP-0478).
    private(set) var maxBytes = Int.max
    private var lossOfOurs: XMPPError?
    private var outcome: Result<Void, XMPPError>?
    private var whenStopped: ((Result<Void, XMPPError>) -> Void)?

    /// The actor this session belongs to, for work that comes back from other threads.
    weak var host: SessionHost?
    private(set) var ownJID: JID?
    var table: IQTable<Waiter>
    var contactMeter: RequestMeter
    var strangerMeter: RequestMeter
    var subscriptionMeter: RequestMeter
    var presenceMeter: RequestMeter
    var lifeSigns: LifeSigns
    var runningHandlers = 0
    let handlers: ClientHandlers
    var runningOpenHandlers = 0
    var runHandler: (@Sendable (@escaping @Sendable () async -> Void) -> Bool)?
    var addressCache: [String: JID] = [:]
    var show = PresenceResource.Show.available
    var statusText = ""
    private(set) lazy var extensions = SessionExtensions(
        self, configuration, contacts: contacts, delegate: delegate,
        bytestreams: Bytestreams(
            sink: self, executor: loop, handlers: handlers, lookUp: configuration.lookUp, logger: logger,
            bound: SendingBounds.ofProcess[configuration.jid],
            learned: { [jid = configuration.jid] in SendingBounds.ofProcess[jid] = $0 },
            counted: { [status] in status.setBytestreams($0) }),
        others: [
            RosterExtension(contacts) { [weak self] in self?.rosterChanged($0) },
            EventingExtension(contacts, takes: { [weak self] in self?.takesPresence(of: $0) == true }) { [delegate] in
                delegate?.pepEvent(from: $0, node: $1, item: $2)
            },
        ], handlers: handlers, logger: logger)
    private(set) lazy var router = StanzaRouter(extensions.all, handlers: handlers)

    init(
        configuration: XMPPConfiguration, delegate: (any XMPPClientDelegate)?, contacts: ContactBook,
        status: ClientStatus, logger: Logger, timekeeper: any EventLoop, loop: StropheLoop,
        interruptible: InterruptibleAttempt, handlers: ClientHandlers
    ) {
        self.handlers = handlers
        self.configuration = configuration
        login = configuration.jid
        self.delegate = delegate
        self.contacts = contacts
        self.status = status
        self.logger = logger
        self.timekeeper = timekeeper
        self.loop = loop
        self.interruptible = interruptible
        let limits = configuration.limits
        table = XMPPSession.newTable(limits)
        contactMeter = RequestMeter(perSecond: limits.requestsPerSecond, limit: limits.contacts)
        // All strangers share one bucket: they get the same answer, and it must not become a tool of theirs.
        strangerMeter = RequestMeter(perSecond: limits.requestsPerSecond, limit: 1)
        // By domain: one server's accounts hold up their own requests only.
        subscriptionMeter = RequestMeter(perSecond: limits.requestsPerSecond, limit: limits.subscriptionRequests)
        presenceMeter = RequestMeter(perSecond: limits.requestsPerSecond, limit: limits.contacts)
        lifeSigns = LifeSigns(limit: limits.contacts)
    }

    private static func newTable(_ limits: XMPPLimits) -> IQTable<Waiter> {
        IQTable(prefix: String(UInt64.random(in: .min ... .max), radix: 36) + "-", limit: limits.pendingRequests)
    }

    var isOnline: Bool {
        if case .online = machine.state { true } else { false }
    }

    // MARK: Lifetime

    /// Begins to connect. `whenStopped` hears once why it is over; `runHandler` runs a peer's request in the background and
    /// says false when it cannot.
    func start(
        runHandler: @escaping @Sendable (@escaping @Sendable () async -> Void) -> Bool,
        whenStopped: @escaping (Result<Void, XMPPError>) -> Void
    ) {
        if let outcome { return whenStopped(outcome) }
        guard machine.started() else {
            return whenStopped(.failure(XMPPError(.invalidInput, "run() was called twice; make another client.")))
        }
        self.whenStopped = whenStopped
        self.runHandler = runHandler
        guard let jid = configuration.jid.with(resource: configuration.resource), jid.node != nil else {
            return stop(XMPPError(.configuration, "The account needs an address like name@server, and a resource."))
        }
        login = jid
        connect()
    }

    /// Ends everything in the orderly way.
    func shutdown(_ reason: String = "the client is stopping") {
        switch machine.shutdown() {
        case .stop: stop(nil)
        case .abort:
            if let connection { return connection.abort() }
            // Between two addresses of one attempt there is nothing to cut.
            retriesAtOnce = false
            connectionClosed(StreamEnd())
        case .close:
            for each in extensions.bytestreams.extensions { each.disconnected(XMPPError(.cancelled, reason)) }
            send(Element("presence", namespace: Namespaces.client, attributes: ["type": "unavailable"]))
            connection?.disconnect()
        case .nothing: break
        }
    }

    private func connect() {
        // The request to stop is on its way to this thread.
        guard !interruptible.isShutDown else { return shutdown() }
        if refusedSince == nil { publish(.connecting) }
        let password: String
        do throws(XMPPError) {
            password = try configuration.password()
        } catch {
            return attemptFailed(StreamEnd(localFault: error.message))
        }
        if let file = configuration.caFile, let reason = SystemWords.unreadable(file) {
            return attemptFailed(StreamEnd(localFault: "the authorities in \(file) (ca-file) cannot be read (\(reason))"))
        }
        var server: (host: String, port: UInt16)?
        if let known = place.server {
            let next = interruptible.lookingUp { addresses.next(for: known.host, by: configuration.lookUp) }
            guard let address = next else {
                return attemptFailed(StreamEnd(error: -1, resolving: addresses.fault ?? "no address"))
            }
            server = (address, known.port)
        }
        guard !interruptible.isShutDown else { return shutdown() }
        let connection = loop.makeConnection(
            StropheParameters(
                jid: login, password: password, allowsPlain: configuration.allowsPlain, server: server,
                directTLS: configuration.directTLS,
                caFile: configuration.caFile, stanzaBytes: configuration.limits.stanzaBytes,
                stanzaDepth: configuration.limits.stanzaDepth), owner: self)
        self.connection = connection
        interruptible.set(connection.socketGuard)
        watchdog = timekeeper.scheduleTask(in: XMPPSession.attemptLimit) { [socketGuard = connection.socketGuard] in
            socketGuard.interrupt()
        }
        // Without a server the library looks for one in DNS.
        let hasBegun = server == nil ? interruptible.lookingUp { connection.connect() } : connection.connect()
        if !hasBegun { attemptFailed(connection.failure) }
    }

    /// Where the account's server is said to be.
    private var place: StreamEnd.Place {
        StreamEnd.Place(domain: configuration.jid.domain, server: otherServer ?? configuration.server)
    }

    private func attemptFailed(_ end: StreamEnd) {
        var end = end
        if !end.hadSocket && end.localFault == nil && end.resolving == nil && !interruptible.isShutDown {
            // The library does not tell why a name did not resolve.
            let host = end.login.host ?? configuration.jid.domain
            end.resolving = interruptible.lookingUp { configuration.lookUp(host).fault }
        }
        connectionClosed(end)
    }

    /// A pause is over early.
    func tryNow() {
        _ = machine.encouraged(now: .now())
    }

    // MARK: Events of the connection

    func connectionReached() { machine.progressed(to: .reached) }

    func connectionSecured() { machine.progressed(to: .secured) }

    func connectionOpened(as jid: JID) {
        attemptEnded()
        addresses.reset()
        let now = NIODeadline.now()
        guard machine.opened(now: now) else {
            connection?.disconnect()
            return
        }
        ownJID = jid
        table = XMPPSession.newTable(configuration.limits)
        let limits = connection?.streamLimits ?? StreamLimits()
        maxBytes = limits.maxBytes ?? .max
        extensions.bytestreams.inBand.connected(limits)
        keepAlive = KeepAlive(now: now, idleSeconds: limits.idleSeconds)
        // Contacts before presence: whoever answers our presence must be known already (RFC 6121 §2.2).
        request(
            nil, .get, Element("query", namespace: Namespaces.roster), timeout: .seconds(60), bytes: configuration.limits.rosterBytes
        ) { [weak self] answer in
            self?.loaded(answer)
        }
    }

    private func loaded(_ answer: Result<Element?, XMPPError>) {
        switch answer {
        case .success(let query):
            guard machine.loaded() else { return }
            refusedSince = nil
            let changes = contacts.loaded(query)
            if let count = query?.children.count, count > configuration.limits.contacts {
                logger.warning("the contact list is longer than is kept", metadata: [LogKeys.count: "\(count)"])
            }
            publish(.online(since: .now))
            for item in changes { rosterChanged(item) }
            sendPresence()
        case .failure(let error):
            lose(XMPPError(.connectionLost, "the server did not give the contact list: \(error.message)", cause: error))
        }
    }

    /// Cuts a stream that is of no use any more.
    func lose(_ reason: XMPPError) {
        guard lossOfOurs == nil, let connection else { return }
        lossOfOurs = reason
        connection.abort()
    }

    func connectionClosed(_ end: StreamEnd) {
        attemptEnded()
        if let connection { loop.retire(connection) }
        connection = nil
        ownJID = nil
        if case .connecting(.started) = machine.state, addresses.hasMore, end.localFault == nil {
            // This address does not answer; the next one is tried outside of the library's callback.
            retriesAtOnce = true
            return
        }
        let reason = lossOfOurs
        lossOfOurs = nil
        // What we have cut ourselves says nothing of what the server takes.
        if reason == nil { extensions.bytestreams.inBand.connectionEnded(end.streamError) }
        switch machine.ended(end, at: place, now: .now(), chance: .random(in: 0..<1)) {
        case .wait(let duration, let error, let needsPerson):
            otherServer = nil
            addresses.reset()
            let error = reason ?? error
            logger.debug("not connected", metadata: [LogKeys.reason: "\(error.message)", LogKeys.retryIn: "\(duration)"])
            everythingFailed(error)
            wait(duration, error, needsPerson)
        case .follow(let server, let error):
            logger.debug("to another host", metadata: [LogKeys.reason: "\(error.message)"])
            everythingFailed(error)
            otherServer = server
            addresses.reset()
            retriesAtOnce = true
        case .stop:
            stop(nil)
        }
    }

    private func wait(_ duration: Duration, _ error: XMPPError, _ needsPerson: Bool) {
        guard needsPerson else {
            refusedSince = nil
            return publish(.waiting(retryIn: duration, reason: error))
        }
        let since = refusedSince ?? .now
        refusedSince = since
        publish(.refused(since: since, retryIn: duration, reason: error))
    }

    private func attemptEnded() {
        interruptible.set(nil)
        watchdog?.cancel()
        watchdog = nil
    }

    private func stop(_ error: XMPPError?) {
        everythingFailed(error ?? XMPPError(.cancelled, "The client was stopped."))
        let outcome: Result<Void, XMPPError> = error.map { .failure($0) } ?? .success(())
        self.outcome = outcome
        publish(.stopped(error))
        whenStopped?(outcome)
        whenStopped = nil
        runHandler = nil
    }

    private func everythingFailed(_ error: XMPPError) {
        for each in extensions.all { each.disconnected(error) }
        for waiter in table.removeAll() { waiter.fail(error) }
        for resource in contacts.everybodyGone() { delegate?.presenceChanged(resource) }
    }

    private func publish(_ state: XMPPConnectionState) {
        status.set(state, boundJID: state.isOnline ? ownJID : nil)
        delegate?.stateChanged(state)
    }

    // MARK: Time

    func tick(now: NIODeadline) {
        if retriesAtOnce {
            retriesAtOnce = false
            connect()
        }
        if machine.ticked(now: now) == .connect { connect() }
        for waiter in table.expired(now: now) { waiter.fail(XMPPError(.timedOut, "No answer in time.")) }
        for each in extensions.all { each.tick() }
        status.setInBand(extensions.bytestreams.inBandStatus)
        guard let connection, connection.isOpen else { return }
        if connection.reads != readsSeen {
            // A large stanza takes its time to arrive.
            readsSeen = connection.reads
            heard()
        }
        switch keepAlive.ticked(now: now, isWaiting: table.count > 0) {
        case .nothing: break
        case .ping:
            request(configuration.jid.server, .get, PingExtension.question, timeout: .seconds(30)) { _ in
                // Whatever arrives is a sign of life; silence is noticed by `keepAlive`.
            }
        case .dead:
            lose(XMPPError(.connectionLost, "the server has not answered for \(KeepAlive.patience.nanoseconds / 1_000_000_000) s"))
        }
    }

    /// Something arrived from the server.
    func heard() { keepAlive.heard(now: .now()) }

    // MARK: Sending

    /// False when the server would end the stream for the stanza's size, as it said (XEP-0478 §4): then it is not sent.
    @discardableResult
    func send(_ stanza: Element) -> Bool {
        var bytes: [UInt8] = []
        stanza.render(into: &bytes, parentNamespace: Namespaces.client)
        guard bytes.count <= maxBytes else {
            logger.notice(
                "a stanza is not sent: the server takes none that large",
                metadata: [LogKeys.count: "\(bytes.count)", LogKeys.reason: "max-bytes is \(maxBytes)"])
            return false
        }
        sendRaw(bytes)
        return true
    }

    func sendRaw(_ bytes: [UInt8]) {
        guard let connection, connection.isOpen else { return }
        guard connection.queuedBytes + bytes.count <= configuration.limits.outboundBytes else {
            return lose(XMPPError(.connectionLost, "the server does not take what is sent to it"))
        }
        connection.send(bytes)
        keepAlive.sent(now: .now())
    }

    func sendRaw(_ stanza: Element) { send(stanza) }

    var isConnected: Bool { connection?.isOpen == true }
}

extension XMPPSession.Waiter {
    func fail(_ error: XMPPError) {
        switch self {
        case .element(let completion): completion(.failure(error))
        case .block(let completion): completion(.failure(error))
        }
    }
}
