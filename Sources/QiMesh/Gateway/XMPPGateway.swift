import Foundation
import Logging
import NIOCore
import QiMessaging
import QiWire
import ServiceLifecycle
import Synchronization
import XMPP

/// One account's door to other devices: logs in, announces this device, accepts tunnels from contacts, and opens tunnels to
/// them. ``run()`` is its lifetime.
final class XMPPGateway: Sendable {
    let account: MeshConfiguration.Account
    let own: JID
    let client: XMPPClient
    let peers: PeerDirectory
    let server: DirectoryServer
    let trust: TrustStore
    /// Who the owner has let in here.
    let contacts: AccountContacts
    let identity: CurrentIdentity
    /// The tokens that were made here; nil where none can be, in a program without a node.
    let enrollments: EnrollmentStore?
    let logger: Logger
    let keys: TunnelKeys
    private let callsPerPeer: Int
    /// How long calls may take to end when the node stops.
    private let stopTime: Duration

    private struct State {
        /// What the server lists and the owner has not let in, as far as it was told; bounded.
        var unconfirmed: Set<JID> = []
        /// When the contacts were last asked whether we may see them.
        var asked: [JID: ContinuousClock.Instant] = [:]
        var device: MeshConfiguration.Device
        /// Why there is no connection, as it was said last.
        var reason: String?
        var lines: [RarelyTold: LineBudget] = [:]
    }

    /// What is told only so often.
    enum RarelyTold: Hashable, Sendable { case request, displaced }

    private let state: Mutex<State>
    private let announcer: ServiceAnnouncer
    let decisions = AsyncStream.makeStream(of: SubscriptionRequest.self, bufferingPolicy: .bufferingNewest(256))
    let logins = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

    /// - Parameter password: asked for at every login; see ``XMPPConfiguration/password``.
    init(
        account: MeshConfiguration.Account, password: @escaping @Sendable () throws(MeshError) -> Password,
        device: MeshConfiguration.Device, server: DirectoryServer, trust: TrustStore, identity: CurrentIdentity,
        enrollments: EnrollmentStore? = nil, limits: MeshConfiguration.Limits, logger: Logger
    ) throws(MeshError) {
        guard let jid = JID(account.jid) else { throw MeshError(.configuration, "\(account.jid) is not an XMPP address") }
        self.account = account
        self.server = server
        self.trust = trust
        self.logger = logger
        own = jid.bare
        self.identity = identity
        self.enrollments = enrollments
        state = Mutex(State(device: device))
        keys = TunnelKeys(trust: trust, logger: logger, audit: server.access)
        announcer = ServiceAnnouncer(logger: logger)
        callsPerPeer = limits.callsPerPeer
        stopTime = limits.stop
        var configuration = XMPPConfiguration(
            jid: jid,
            password: { () throws(XMPPError) in
                do throws(MeshError) {
                    // Both are read anew at every login.
                    try account.checkFiles()
                    return try password().reveal()
                } catch {
                    throw XMPPError(.configuration, error.description, cause: error)
                }
            }, resource: account.resource)
        configuration.allowsPlain = account.allowsPlain
        configuration.software = ("QiMesh", SoftwareVersion.text)
        configuration.server = account.server.map { .init(host: $0.host, port: UInt16(clamping: $0.port)) }
        configuration.directTLS = account.directTLS
        configuration.caFile = account.caFile
        configuration.features = [MeshNamespaces.tunnel, MeshNamespaces.services + "+notify"]
        let events = Events()
        let contacts = AccountContacts(account: jid, accept: account.accept, trust: trust, logger: logger)
        self.contacts = contacts
        client = XMPPClient(
            configuration: configuration, delegate: events, admits: { contacts.isContact($0) },
            expects: { contacts.expects($0, listed: $1) }, logger: logger, eventLoopGroup: server.loop.eventLoop)
        peers = PeerDirectory(client: client, contacts: contacts)
        events.gateway.withLock { $0 = Weak(self) }
    }

    // MARK: - Lifetime

    /// Logs in and stays, through every loss and every refusal, until the node shuts down or ``end(_:)``.
    ///
    /// - Throws: `configuration` for what cannot be an account.
    func run() async throws {
        client.setDiscoItems { [weak self] _ in self?.discoItems ?? [] }
        client.setDiscoNode(MeshNamespaces.device) { [weak self] _ in await self?.description }
        let acceptor = TunnelAcceptor(
            own: own, server: server, identity: identity, contacts: contacts, keys: keys, callsPerPeer: callsPerPeer)
        client.setBytestreamHandler(applicationNamespace: MeshNamespaces.tunnel, on: server.loop.eventLoop) { acceptor.decide($0) }
        let services = server.onServicesChanged { [announcer] _ in announcer.changed() }
        defer { server.stopObserving(services) }
        if enrollments?.isListening(account: "\(own)") == true { listenForPairing() }
        // With another policy each contact sees other services.
        let policyToken = server.access?.observe { [announcer] in announcer.repeatIt() }
        defer { if let policyToken { server.access?.stopObserving(policyToken) } }
        // Before the first login reads them.
        let files = fileMarks()
        try await withThrowingTaskGroup { group in
            group.addTask { [announcer, client] in await announcer.run(over: client) }
            group.addTask { [self] in await watchFiles(since: files) }
            group.addTask { [self] in await answerRequests() }
            group.addTask { [self] in await repairContacts() }
            group.addTask { [self] in await sayGoodbye() }
            defer { group.cancelAll() }
            do {
                try await client.run()
            } catch let error as XMPPError {
                throw MeshError(.configuration, "\(account.jid): \(error.message)", cause: error)
            }
        }
    }

    /// Logs out at the shutdown, after the calls that came over a tunnel have had their time.
    private func sayGoodbye() async {
        // Cancelled: the client has ended.
        do { try await gracefulShutdown() } catch { return }
        let end = ContinuousClock.now + stopTime
        await server.drain(within: stopTime)
        // What the tunnels had still to send leaves before presence says that we have gone.
        await client.bytestreamsEnded(before: end)
        client.shutdown()
    }

    /// The account is no more: says goodbye, and ends what runs over it, and nothing else: a device may be a contact of another account,
    /// and its tunnels may run over that one. To be called when the account is in the list of accounts no more, so that whatever waits for
    /// a device looks for it elsewhere.
    func end(_ reason: String) {
        client.shutdown(reason)
        peers.end()
    }

    /// What this device says of itself.
    var device: MeshConfiguration.Device { state.withLock { $0.device } }

    /// This device is called otherwise from now on.
    func setDevice(_ device: MeshConfiguration.Device) {
        let isNews = state.withLock { state in
            defer { state.device = device }
            return state.device != device
        }
        if isNews { announcer.changed() }
    }

    /// Whether that is another reason than the last one.
    @discardableResult
    func noteReason(_ reason: String?) -> Bool {
        state.withLock { state in
            defer { state.reason = reason }
            return state.reason != reason
        }
    }

    /// What we have that may be asked about. No service: the operator of a server reads this, and a contact reads them through its tunnel.
    private var discoItems: [DiscoItem] {
        client.boundJID.map { [DiscoItem(jid: $0, node: MeshNamespaces.device, name: "device")] } ?? []
    }

    // MARK: - What is remembered

    /// Whether an account that is listed and not let in is told of for the first time.
    func isNewUnconfirmed(_ jid: JID) -> Bool {
        state.withLock { $0.unconfirmed.count < 256 && $0.unconfirmed.insert(jid).inserted }
    }

    /// The time since a contact was asked whether we may see it; nil for never.
    func sinceAsked(_ jid: JID) -> Duration? { state.withLock { $0.asked[jid] }.map { .now - $0 } }

    func asked(_ jid: JID) {
        state.withLock { state in
            if state.asked.count >= ContactTable.limit { state.asked = [:] }
            state.asked[jid] = .now
        }
    }

    /// A line of the log for what strangers can cause without end; see ``LineBudget``.
    func sayFew(_ kind: RarelyTold, _ message: Logger.Message, _ metadata: Logger.Metadata) {
        switch state.withLock({ $0.lines[kind, default: LineBudget()].next(at: .now) }) {
        case .say: logger.notice(message, metadata: metadata)
        case .sayMore: logger.notice("\(message): more of this kind within a minute are not told one by one")
        case .silence: break
        }
    }

    // MARK: - Events

    private struct Weak: Sendable {
        weak let gateway: XMPPGateway?
        init(_ gateway: XMPPGateway) { self.gateway = gateway }
    }

    /// What the client tells, on its own thread.
    private final class Events: XMPPClientDelegate {
        let gateway = Mutex<Weak?>(nil)
        private var target: XMPPGateway? { gateway.withLock { $0?.gateway } }

        func stateChanged(_ state: XMPPConnectionState) { target?.stateChanged(state) }
        func presenceChanged(_ resource: PresenceResource) { target?.presenceChanged(resource) }
        func rosterChanged(_ item: RosterItem) { target?.rosterChanged(item) }
        func subscriptionRequested(_ request: SubscriptionRequest) { target?.subscriptionRequested(request) }
        func bytestreamDisplaced(_ peer: JID, for newcomer: JID) { target?.bytestreamDisplaced(peer, for: newcomer) }
        func pepEvent(from account: JID, node: String, item: Element) {
            guard node == MeshNamespaces.services, let target else { return }
            target.peers.changed(account.bare)
            target.server.deviceChanged("\(account.bare)")
        }
    }

    private func stateChanged(_ state: XMPPConnectionState) {
        told(state)
        if state.isOnline {
            peers.wentOnline()
            announcer.repeatIt()
            logins.continuation.yield()
        } else {
            peers.wentOffline()
        }
    }

    private func presenceChanged(_ resource: PresenceResource) {
        peers.presenceChanged(resource)
        if resource.isAvailable, resource.disco?.has(MeshNamespaces.tunnel) == true { server.deviceChanged("\(resource.jid.bare)") }
    }

    private func rosterChanged(_ item: RosterItem) {
        peers.observers.notify()
        if isListedUnasked(item) { return }
        guard !item.isMutual else { return server.deviceChanged("\(item.jid)") }
        let (name, isContact) = ("\(item.jid)", contacts.isContact(item.jid))
        // What the server does not list so is out of reach, and a contact all the same: only its owner's word ends it, here or there.
        let error: QiError =
            switch item.subscription {
            case _ where !isContact: QiError(.denied, "\(name) is no contact any more")
            case .remove: QiError(.disconnected, "\(own.domain) does not list \(name) as a contact at the moment")
            default:
                QiError(
                    .denied, "\(name) is a contact here, and by \(own.domain)'s list the two have not both approved each other any more",
                    hint: "on that device: qimesh approve \(PrivateFile.quoted("\(own)"))")
            }
        server.dropDevice(name, error)
    }
}
