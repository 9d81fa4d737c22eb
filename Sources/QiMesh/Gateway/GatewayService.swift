public import Logging
import NIOPosix
public import QiMessaging
public import ServiceLifecycle
import Synchronization

/// The public door of a node, as its configuration says. ``run()`` is its lifetime, and may be run again when it failed. Has an event loop
/// of its own, and reaches the directory like any program, so that it may as well be a process of its own.
public final class GatewayService: Service {
    private let configuration: MeshConfiguration
    /// The section as it is now: ``reload(_:)`` takes over parts of another one.
    private let section: Mutex<MeshConfiguration.Gateway>
    private let paths: MeshPaths
    private let access: AccessControl?
    private let stores: [any CredentialStore]
    private let logger: Logger
    private let onReady: @Sendable ([String]) -> Void
    private let running = Mutex<TCPGateway?>(nil)
    private let shown = Mutex<KeyFingerprint?>(nil)

    /// How often addresses that could not be listened at are tried again.
    private static let pause = Duration.seconds(2)

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
        section = Mutex(gateway)
        self.paths = paths
        self.access = access
        self.stores = stores
        self.logger = logger
        self.onReady = onReady
    }

    /// Opens the door, serves until shutdown, and closes it again. The files are read now. Addresses that cannot be listened on are tried
    /// again for as long as it runs, if there is another one.
    ///
    /// - Throws: ``MeshError``: `configuration` or `identity` before anything is opened, `system` when no address can be listened on.
    public func run() async throws {
        try paths.prepareDirectories()
        let gateway = section.withLock { $0 }
        let options = try options(gateway)
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: logger)
        do {
            try await serve(gateway, options, on: loop)
            await loop.shutDown()
        } catch {
            await loop.shutDown()
            throw error
        }
    }

    private func serve(_ gateway: MeshConfiguration.Gateway, _ options: TCPGateway.Options, on loop: BusLoop) async throws {
        let opened: TCPGateway
        do throws(QiError) {
            opened = try await TCPGateway.open(options, at: gateway.listen.compactMap { Endpoint($0) }, on: loop)
        } catch {
            throw MeshError(.system, error.message, hint: Self.hint(of: error), cause: error)
        }
        running.withLock { $0 = opened }
        takeWhatCame(since: gateway, opened)
        onReady(opened.endpoints.map(\.text))
        await openLate(opened)
        do { try await gracefulShutdown() } catch is CancellationError {}
        running.withLock { $0 = nil }
        await opened.close(within: Task.isCancelled ? .zero : configuration.limits.stop)
    }

    private static func hint(of error: QiError) -> String? {
        error.isOfTakenAddress ? "stop it, or let the door listen elsewhere: gateway.listen in the configuration" : error.hint
    }

    /// Opens the addresses that could not be listened at, as they come; returns when there are none, or at the shutdown.
    private func openLate(_ opened: TCPGateway) async {
        var said: Set<String> = []
        while !Task.isCancelled, !Task.isShuttingDownGracefully {
            let late = opened.late
            guard !late.isEmpty else { return }
            for (endpoint, error) in late where said.insert("\(endpoint) \(error.message)").inserted {
                logger.warning(
                    "the gateway does not listen at one of its addresses, and tries again",
                    metadata: ["qi.endpoint": "\(endpoint)", "error": "\(error.message)"])
            }
            // Ends early only by the shutdown, which the loop looks at.
            _ = try? await cancelWhenGracefulShutdown { try await Task.sleep(for: Self.pause) }
            guard !Task.isCancelled, !Task.isShuttingDownGracefully else { return }
            for endpoint in await opened.openLate() {
                logger.notice("the gateway listens at another address", metadata: ["qi.endpoint": "\(endpoint)"])
            }
        }
    }

    /// Why it does not listen at some of its addresses while it runs; nil when it listens at all.
    var lateTrouble: String? {
        let late = running.withLock { $0 }?.late ?? []
        return late.isEmpty ? nil : late.map(\.error.message).joined(separator: "; ")
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
    /// While it does not run they are kept for when it does.
    ///
    /// - Returns: what was not taken over, with the reason: certificates that cannot be used. Those of before stay in use.
    public func reload(_ configuration: MeshConfiguration) -> [String] {
        guard let changed = configuration.gateway else { return [] }
        let taken = section.withLock { section in
            section.advertise = changed.advertise
            (section.certificate, section.key, section.trust) = (changed.certificate, changed.key, changed.trust)
            return section
        }
        guard let running = running.withLock({ $0 }) else { return [] }
        return apply(taken, to: running)
    }

    private func apply(_ gateway: MeshConfiguration.Gateway, to running: TCPGateway) -> [String] {
        running.advertise(gateway.advertise.compactMap { Endpoint($0) })
        do throws(MeshError) {
            try replaceCertificates(gateway, of: running)
            return []
        } catch {
            let setting = gateway.certificate == nil ? "gateway.trust" : "gateway.certificate"
            return ["\(setting) (not used, and those of before stay: \(error.message))"]
        }
    }

    /// A reload that came between the reading of the section and the opening.
    private func takeWhatCame(since used: MeshConfiguration.Gateway, _ opened: TCPGateway) {
        let now = section.withLock { $0 }
        guard now != used else { return }
        for refused in apply(now, to: opened) {
            logger.error("a setting of the gateway was not taken over", metadata: ["setting": "\(refused)"])
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

    func options() throws(MeshError) -> TCPGateway.Options { try options(section.withLock { $0 }) }

    private func options(_ gateway: MeshConfiguration.Gateway) throws(MeshError) -> TCPGateway.Options {
        var options = TCPGateway.Options(
            directory: try directory(gateway), machineID: try configuration.internal.machineID.resolve(home: paths.homeDirectory))
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
    private func directory(_ gateway: MeshConfiguration.Gateway) throws(MeshError) -> Endpoint {
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
