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
    private let shared: GatewayAccount
    /// Who is let in.
    let admission: ContactAdmission
    /// Tokens that are made here.
    let issuer: TokenIssuer
    /// Tokens that are brought here.
    let pairing: TokenPairing
    /// The ways that streams to devices may take.
    let ways: PathNetworks
    private let callsPerPeer: Int
    /// How long calls may take to end when the node stops.
    private let stopTime: Duration

    private struct State {
        var device: MeshConfiguration.Device
        /// Why there is no connection, as it was said last.
        var reason: String?
    }

    private let state: Mutex<State>
    private let announcer: ServiceAnnouncer
    private let displacements: RareNotice

    /// - Parameter password: asked for at every login; see ``XMPPConfiguration/password``.
    init(
        account: MeshConfiguration.Account, password: @escaping @Sendable () throws(MeshError) -> Password,
        device: MeshConfiguration.Device, server: DirectoryServer, trust: TrustStore, identity: CurrentIdentity,
        enrollments: EnrollmentStore? = nil, ways: PathNetworks = PathNetworks(MeshConfiguration()), limits: MeshConfiguration.Limits,
        logger: Logger
    ) throws(MeshError) {
        guard let jid = JID(account.jid) else { throw MeshError(.configuration, "\(account.jid) is not an XMPP address") }
        self.account = account
        state = Mutex(State(device: device))
        displacements = RareNotice("a tunnel made room for another", logger)
        announcer = ServiceAnnouncer(logger: logger)
        self.ways = ways
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
        configuration.features = [MeshNamespaces.tunnel, MeshNamespaces.stream, MeshNamespaces.services + "+notify"]
        let events = Events()
        let contacts = AccountContacts(account: jid, accept: account.accept, trust: trust, logger: logger)
        let client = XMPPClient(
            configuration: configuration, delegate: events, admits: { contacts.isContact($0) },
            expects: { contacts.expects($0, listed: $1) }, logger: logger, eventLoopGroup: server.loop.eventLoop)
        shared = GatewayAccount(
            own: jid.bare, client: client, contacts: contacts, peers: PeerDirectory(
                client: client, contacts: contacts,
                silences: { [server] in
                    // A directory that has ended has no streams. A device that is silent on XMPP may answer on its stream.
                    (try? await server.silences(askingAfter: Liveness.freshness)) ?? [:]
                }), trust: trust,
            keys: TunnelKeys(trust: trust, logger: logger, audit: server.access), identity: identity, enrollments: enrollments,
            server: server, logger: logger)
        admission = ContactAdmission(shared)
        issuer = TokenIssuer(shared, admission, resource: account.resource)
        pairing = TokenPairing(shared, admission)
        events.gateway.withLock { $0 = Weak(self) }
    }

    // MARK: - Lifetime

    /// Logs in and stays, through every loss and every refusal, until the node shuts down or ``end(_:)``.
    ///
    /// - Throws: `configuration` for what cannot be an account.
    func run() async throws {
        client.setDiscoItems { [weak self] _ in self?.discoItems ?? [] }
        client.setDiscoNode(MeshNamespaces.device) { [weak self] _ in await self?.description }
        client.setSOCKS5Options(ways.options())
        let acceptor = TunnelAcceptor(
            own: own, server: server, identity: identity, contacts: contacts, keys: keys, callsPerPeer: callsPerPeer, ways: ways,
            width: { [weak self] in self?.width(of: $0) ?? .wide })
        for application in [MeshNamespaces.tunnel, MeshNamespaces.stream] {
            client.setBytestreamHandler(applicationNamespace: application, on: server.loop.eventLoop) { acceptor.decide($0) }
        }
        let services = server.onServicesChanged { [announcer] _ in announcer.changed() }
        defer { server.stopObserving(services) }
        issuer.begin()
        // With another policy each contact sees other services.
        let policyToken = server.access?.observe { [announcer] in announcer.repeatIt() }
        defer { if let policyToken { server.access?.stopObserving(policyToken) } }
        // Before the first login reads them.
        let files = fileMarks()
        try await withThrowingTaskGroup { group in
            group.addTask { [announcer, client] in await announcer.run(over: client) }
            group.addTask { [self] in await watchFiles(since: files) }
            group.addTask { [admission] in await admission.run() }
            group.addTask { [peers] in await peers.keepAsking() }
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

    // MARK: - What the parts share

    var own: JID { shared.own }
    var client: XMPPClient { shared.client }
    var contacts: AccountContacts { shared.contacts }
    var peers: PeerDirectory { shared.peers }
    var keys: TunnelKeys { shared.keys }
    var identity: CurrentIdentity { shared.identity }
    var server: DirectoryServer { shared.server }
    var logger: Logger { shared.logger }

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
        func heard(from connection: JID, isPresence: Bool) { target?.peers.heard(connection, isPresence: isPresence) }
        func rosterChanged(_ item: RosterItem) { target?.admission.rosterChanged(item) }
        func subscriptionRequested(_ request: SubscriptionRequest) { target?.admission.subscriptionRequested(request) }
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
            admission.loggedIn()
        } else {
            peers.wentOffline()
        }
    }

    private func presenceChanged(_ resource: PresenceResource) {
        peers.presenceChanged(resource)
        if resource.isAvailable, resource.disco?.has(MeshNamespaces.tunnel) == true { server.deviceChanged("\(resource.jid.bare)") }
    }

    /// A tunnel of one account made room for another account's.
    private func bytestreamDisplaced(_ peer: JID, for newcomer: JID) {
        let device = "\(peer.bare)"
        let reason = "all places for tunnels were taken and it held the most, so \(newcomer.bare) was given one of them"
        displacements.say(["xmpp.peer.jid": "\(device)", "reason": "\(reason)"])
        shared.record("limited", device, "connect", isAllowed: false, reason, target: "tunnel")
    }
}
