public import Logging
import NIOPosix
public import QiMessaging
public import ServiceLifecycle
import Synchronization

/// The public door of a node, as its configuration says. ``run()`` is its lifetime. Has an event loop of its own, and reaches the
/// directory like any program, so that it may as well be a process of its own.
public final class GatewayService: Service {
    private let configuration: MeshConfiguration
    private let gateway: MeshConfiguration.Gateway
    private let paths: MeshPaths
    private let access: AccessControl?
    private let stores: [any CredentialStore]
    private let logger: Logger
    private let onReady: @Sendable ([String]) -> Void
    private let running = Mutex<TCPGateway?>(nil)
    private let shown = Mutex<KeyFingerprint?>(nil)

    /// - Parameters:
    ///   - access: who may do what; also told of everybody who was not let in.
    ///   - stores: who else may come in beside the users of ``UserStore``.
    ///   - onReady: called once with the addresses it listens at.
    /// - Throws: `configuration` when there is no section `gateway`.
    public init(
        configuration: MeshConfiguration, paths: MeshPaths, access: AccessControl?,
        stores: [any CredentialStore] = [], logger: Logger, onReady: @escaping @Sendable ([String]) -> Void = { _ in }
    ) throws(MeshError) {
        guard let gateway = configuration.gateway else {
            throw MeshError(
                .configuration, "the configuration has no gateway", hint: "add to it: gateway: { listen: [\"tcps://0.0.0.0:9503\"] }")
        }
        self.configuration = configuration
        self.gateway = gateway
        self.paths = paths
        self.access = access
        self.stores = stores
        self.logger = logger
        self.onReady = onReady
    }

    /// Opens the door, serves until shutdown, and closes it again.
    ///
    /// - Throws: ``MeshError``: `configuration` or `identity` before anything is opened, `system` when an address cannot be listened on.
    public func run() async throws {
        try paths.prepareDirectories()
        let options = try options()
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: logger)
        do {
            try await serve(options, on: loop)
            await loop.shutDown()
        } catch {
            await loop.shutDown()
            throw error
        }
    }

    private func serve(_ options: TCPGateway.Options, on loop: BusLoop) async throws {
        let opened: TCPGateway
        do throws(QiError) {
            opened = try await TCPGateway.open(options, at: gateway.listen.compactMap { Endpoint($0) }, on: loop)
        } catch {
            throw MeshError(.system, error.message, hint: error.hint, cause: error)
        }
        running.withLock { $0 = opened }
        onReady(opened.endpoints.map(\.text))
        do { try await gracefulShutdown() } catch is CancellationError {}
        running.withLock { $0 = nil }
        await opened.close()
    }

    /// Where it listens; empty while it does not run.
    public var endpoints: [String] { running.withLock { $0 }?.endpoints.map(\.text) ?? [] }

    /// The key of the certificate that it shows; `nil` before it runs.
    var key: KeyFingerprint? { shown.withLock { $0 } }

    /// How it stands; `nil` while it does not run.
    public func status() async throws(QiError) -> GatewayStatus? {
        guard let gateway = running.withLock({ $0 }) else { return nil }
        return try await gateway.status()
    }

    /// Tells clients other addresses from now on; empty: the one each of them used.
    public func advertise(_ urls: [String]) { running.withLock { $0 }?.advertise(urls.compactMap { Endpoint($0) }) }

    /// Takes over what can change while it runs: the addresses that clients are told, and the certificates, whose files are read again.
    /// Certificates that cannot be used are refused in the log: those of before stay. Nothing happens while it does not run.
    public func reload(_ configuration: MeshConfiguration) {
        guard let changed = configuration.gateway, let running = running.withLock({ $0 }) else { return }
        advertise(changed.advertise)
        do throws(MeshError) {
            try replaceCertificates(changed, of: running)
        } catch {
            logger.error(
                "the gateway's certificates were not taken over: those of before stay in use", metadata: ["error": "\(error.message)"])
        }
    }

    private func replaceCertificates(_ changed: MeshConfiguration.Gateway, of running: TCPGateway) throws(MeshError) {
        let options = try tls(changed)
        do throws(QiError) {
            try running.replaceCertificates(options)
        } catch {
            throw MeshError(.configuration, error.message, hint: error.hint, cause: error)
        }
        try noteKey(changed)
    }

    private func noteKey(_ gateway: MeshConfiguration.Gateway) throws(MeshError) {
        let key = try gateway.doorKey(paths: paths)
        shown.withLock { $0 = key }
    }

    // MARK: - Setting up

    func options() throws(MeshError) -> TCPGateway.Options {
        var options = TCPGateway.Options(
            directory: try directory(), machineID: try configuration.internal.machineID.resolve(home: paths.homeDirectory))
        options.reachesHosts = gateway.naoqi == nil
        options.tls = try tls(gateway)
        try noteKey(gateway)
        options.allowsPlain = gateway.allowsPlain
        options.advertised = gateway.advertise.compactMap { Endpoint($0) }
        options.access = access
        options.returnTime = gateway.returnTime
        options.limits = limits
        options.rules = ListenerRules(zone: gateway.zone)
        options.rules.audit = access
        options.rules.limits.maximumConnections = gateway.connections
        options.rules.limits.maximumConnectionsPerAddress = gateway.connectionsPerAddress
        let users = try UserStore(file: gateway.users ?? paths.userFile, logger: logger)
        options.rules.authentication = ListenerRules.Authentication(stores: [users] + stores, admitsAnonymous: gateway.admitsAnonymous)
        return options
    }

    /// The directory that is presented: a NAOqi's, or our own by its socket, whose file only this user can reach.
    private func directory() throws(MeshError) -> Endpoint {
        let own = configuration.listeners(paths: paths)
        let text = gateway.naoqi ?? own.first { $0.hasPrefix("unix:") } ?? own.first ?? ""
        guard let endpoint = Endpoint(text) else {
            throw MeshError(.configuration, "gateway: \"\(text)\" is no directory", hint: "give the directory a socket: internal.listen")
        }
        return endpoint
    }

    /// What one client may use: less than one inside.
    private var limits: ConnectionLimits {
        var limits = ConnectionLimits()
        limits.maximumPayload = configuration.limits.payload
        limits.maximumCallsInFlight = configuration.limits.callsPerPeer
        // One answer of the largest size, and some more.
        limits.maximumOutboundBytes = configuration.limits.payload + (16 << 20)
        limits.maximumEventBacklog = 8 << 20
        limits.maximumHostedObjects = 4096
        return limits
    }

    private func tls(_ gateway: MeshConfiguration.Gateway) throws(MeshError) -> TLSOptions {
        let identity: TLSOptions.Identity
        if let certificate = gateway.certificate, let key = gateway.key {
            identity = TLSOptions.Identity(
                certificates: [.pem(try read(certificate, .writable, "gateway.certificate"))],
                privateKey: .pem(try read(key, .readable, "gateway.key")))
        } else {
            identity = try GatewayCertificate.loadOrCreate(directory: paths.stateDirectory)
        }
        guard let trust = gateway.trust else { return TLSOptions(identity: identity) }
        return TLSOptions(identity: identity, trust: .authorities([.pem(try read(trust, .writable, "gateway.trust"))]))
    }

    /// The bytes that were checked are the bytes that are used.
    private func read(_ path: String, _ exposure: PrivateFile.Exposure, _ setting: String) throws(MeshError) -> [UInt8] {
        guard let bytes = try PrivateFile.read(path, limit: 4 << 20, refusing: exposure, code: .configuration) else {
            throw MeshError(.configuration, "there is no file \(path) (\(setting))")
        }
        return bytes
    }
}
