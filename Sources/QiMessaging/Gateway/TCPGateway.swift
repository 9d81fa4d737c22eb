import NIOCore
import QiWire
import Synchronization

/// One public door of a robot: presents the services of a directory inside, our own or a NAOqi's, to clients outside, each on one
/// connection, for unmodified libqi clients.
///
/// Those outside are told of no address but the gateway's. They keep their connection, proxies and subscriptions when the directory or a
/// service inside is restarted; calls that come while a service is away fail at once, and may be tried again.
public final class TCPGateway: Sendable {
    /// How a gateway is set up.
    public struct Options: Sendable {
        /// The directory that is presented: `unix:/path` or `tcp://host:port`.
        public var directory: Endpoint
        /// By which libqi clients know that all services are on the connection they have.
        public var machineID: String
        /// The certificate for `tcps` and `tcpsm`; for `tcpsm` also which certificates of clients are good.
        public var tls = TLSOptions()
        /// Whether it may listen at `tcp`, where everybody on the way can read and change what is said.
        public var allowsPlain = false
        /// Who may come in, and in which zone.
        public var rules = ListenerRules()
        /// Who may do what; nil: everybody may look up, call, post to and listen to every service, and host none. Hosting takes a
        /// ``directory`` at `unix:`, or one that ``reachesHosts``.
        public var access: AccessControl?
        /// Whether ``directory`` is known to be one of ours, wherever it listens: it reaches what those outside host on the connection
        /// that registered it. libqi's would need an address.
        public var reachesHosts = false
        /// What clients are told instead of the address they used, see ``TCPGateway/advertise(_:)``.
        public var advertised: [Endpoint] = []
        /// What one client may use.
        public var limits = ConnectionLimits()
        /// How long a service in use may take to come back before its users are told that it is gone.
        public var returnTime = Duration.seconds(60)

        public init(directory: Endpoint, machineID: String) {
            self.directory = directory
            self.machineID = machineID
        }

        /// Whether those outside may host services, if the policy lets them. At `unix:` there is no directory of libqi's.
        var mayRegister: Bool { access != nil && (directory.isUnix || reachesHosts) }
    }

    private let server: DirectoryServer
    let upstream: NIOLoopBound<GatewayUpstream>
    private let gate: NIOLoopBound<ListenerGate>
    private let tls: TLSLayer
    private let listeners = Mutex(Listeners())

    private struct Listeners {
        var open: [Listener] = []
        /// What cannot be listened at now, and why.
        var late: [(endpoint: Endpoint, error: QiError)] = []
    }

    private init(
        server: DirectoryServer, upstream: NIOLoopBound<GatewayUpstream>, gate: NIOLoopBound<ListenerGate>, tls: TLSLayer
    ) {
        self.tls = tls
        self.server = server
        self.upstream = upstream
        self.gate = gate
    }

    /// Opens a gateway that listens at those of `endpoints` where that is possible now; ``late`` are the others. The directory inside may
    /// come later, and go and come back. Ends with ``close()``; `loop` stays the caller's.
    ///
    /// - Throws: `.invalid` for an endpoint that a gateway may not have, and for certificates that cannot be used. Where nothing can be
    ///   listened at the reason: `.conflict` for an endpoint that is taken, else `.invalid`.
    public static func open(_ options: Options, at endpoints: [Endpoint], on loop: BusLoop) async throws(QiError) -> TCPGateway {
        let tls = TLSLayer(options.tls)
        for endpoint in endpoints {
            try check(endpoint, options)
            try tls.prepare(for: endpoint, isServer: true)
        }
        let server = try await DirectoryServer.make(
            on: loop, machineID: options.machineID, limits: options.limits,
            readOnlyReason: options.mayRegister ? nil : registrationRefusal, access: options.access)
        // What those outside host is registered inside, as a board's services are with its master.
        if options.mayRegister { try await server.prepareToJoin(behind: options.directory) }
        let gate = try await server.gate(options.rules)
        let directory = server.directory
        let upstream = try await loop.run { (bus) async throws(QiError) in
            var limits = ConnectionLimits()
            limits.maximumPayload = options.limits.maximumPayload
            let upstream = GatewayUpstream(
                loop: loop, endpoint: options.directory, machineID: options.machineID, limits: limits,
                returnTime: TimeAmount(options.returnTime), presented: directory.value)
            directory.value.setResolver(upstream)
            directory.value.outsideAddresses = GatewayAddresses(advertised: options.advertised)
            return NIOLoopBound(upstream, eventLoop: bus.eventLoop)
        }
        let gateway = TCPGateway(server: server, upstream: upstream, gate: gate, tls: tls)
        gateway.listeners.withLock { $0.late = endpoints.widestFirst(\.self).map { ($0, QiError(.offline, "\($0) is not open yet")) } }
        await gateway.openLate()
        if gateway.endpoints.isEmpty, let error = gateway.reasonForNone {
            await gateway.close()
            throw error
        }
        loop.submit { _ in
            directory.value.master?.join()
            upstream.value.begin()
        }
        return gateway
    }

    /// One that is taken is said before one that may come by itself.
    private var reasonForNone: QiError? {
        let late = listeners.withLock { $0.late }
        return (late.first { !$0.error.isOfLateAddress } ?? late.first)?.error
    }

    private static let registrationRefusal =
        "services cannot be registered through this gateway: register them inside, with the directory itself"

    private static func check(_ endpoint: Endpoint, _ options: Options) throws(QiError) {
        switch endpoint.kind {
        case .tls: break
        case .tcp:
            guard options.allowsPlain else {
                throw QiError(
                    .invalid, "a gateway does not listen at \(endpoint) without being told that it may: nothing on it is encrypted",
                    hint: "use tcps://, or allow plain connections in words")
            }
        case .unix, .relative, .other:
            throw QiError(.invalid, "a gateway cannot listen at \(endpoint)", hint: "use tcps://HOST:PORT or tcpsm://HOST:PORT")
        }
    }

    /// Tries again what could not be listened at. Not from two tasks at once.
    ///
    /// - Returns: where it listens since.
    @discardableResult
    public func openLate() async -> [Endpoint] {
        var opened: [Endpoint] = []
        for (endpoint, _) in listeners.withLock({ $0.late }) {
            do throws(QiError) {
                // The real zone is the gate's word, for each peer.
                let listener = try await server.listen(at: endpoint, TransportSet([], tls: tls), zone: .internet, gate: gate)
                opened.append(listener.endpoint)
                listeners.withLock { listeners in
                    listeners.open.append(listener)
                    listeners.late.removeAll { $0.endpoint == endpoint }
                }
            } catch {
                let isCovered = error.isOfTakenAddress ? await covers(endpoint) : false
                listeners.withLock { listeners in
                    guard let index = listeners.late.firstIndex(where: { $0.endpoint == endpoint }) else { return }
                    if isCovered { listeners.late.remove(at: index) } else { listeners.late[index].error = error }
                }
            }
        }
        return opened
    }

    /// Whether it is itself who has that address, under another name.
    private func covers(_ endpoint: Endpoint) async -> Bool {
        for listener in listeners.withLock({ $0.open }) where await listener.covers(endpoint) { return true }
        return false
    }

    /// What cannot be listened at now, and why; ``openLate()`` tries it again.
    public var late: [(endpoint: Endpoint, error: QiError)] { listeners.withLock { $0.late } }

    var loop: BusLoop { server.loop }

    /// Where it listens, with the real ports.
    public var endpoints: [Endpoint] { listeners.withLock { $0.open.map(\.endpoint) } }

    /// Changes what clients are told from now on; empty: the address each of them used. Nobody is disconnected.
    public func advertise(_ endpoints: [Endpoint]) {
        let directory = server.directory
        server.loop.submit { _ in directory.value.outsideAddresses = GatewayAddresses(advertised: endpoints) }
    }

    /// Shows other certificates from now on, or reads the files of the same ones again. Connections stay; but where a certificate is not
    /// trusted any more that was, those of `tcpsm` end, as their clients have to show again that theirs is good.
    ///
    /// - Throws: `.invalid` when the certificates cannot be used: then those of before stay.
    public func replaceCertificates(_ tls: TLSOptions) throws(QiError) {
        let gate = self.gate
        if try self.tls.replace(tls) { server.loop.submit { _ in gate.value.endCertified() } }
    }

    /// Ends every connection from outside, and the gateway's own. It stops listening first; new calls of those who are in are
    /// refused, and those in work may end.
    ///
    /// - Parameter time: how long they may take.
    public func close(within time: Duration = .zero) async {
        let open = listeners.withLock { listeners in
            defer { listeners = Listeners() }
            return listeners.open
        }
        for listener in open { await listener.close() }
        let (upstream, directory) = (upstream, server.directory)
        if time > .zero { await server.drain(within: time, "this gateway") }
        server.loop.submit { _ in
            let reason = QiError(.disconnected, "this gateway was closed")
            // First those who use it, then what they used.
            directory.value.end(reason)
            directory.value.master?.end(reason)
            upstream.value.end(reason)
        }
    }

    // MARK: - How it stands

    /// How the gateway stands.
    public func status() async throws(QiError) -> GatewayStatus {
        let (upstream, directory, gate) = (upstream, server.directory, gate)
        let endpoints = endpoints
        return try await server.loop.run { (_) async throws(QiError) in
            let counts = gate.value.counts
            return GatewayStatus(
                endpoints: endpoints, advertised: directory.value.outsideAddresses?.advertised ?? [],
                trouble: upstream.value.follower.away, services: upstream.value.follower.mirror.services.count,
                servicesInUse: upstream.value.services.count, servicesAway: upstream.value.servicesAway,
                connections: counts.all, unproven: counts.unproven)
        }
    }
}
