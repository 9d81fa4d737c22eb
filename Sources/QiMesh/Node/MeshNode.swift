public import Foundation
public import Logging
import NIOCore
import NIOPosix
public import QiMessaging
public import ServiceLifecycle

/// What `qimesh up` runs: the directory, and a gateway for each account. ``run()`` is its lifetime.
public final class MeshNode: Service {
    /// The version this node tells.
    public static let version = "0.1.0"

    private let configuration: MeshConfiguration
    private let paths: MeshPaths
    private let environment: [String: String]
    private let logger: Logger
    private let onReady: @Sendable ([String]) -> Void
    private let onServer: (@Sendable (DirectoryServer) async throws -> Void)?

    /// A node; nothing is opened before ``run()``.
    ///
    /// - Parameters:
    ///   - environment: where a password may stand.
    ///   - onReady: called once with the addresses the directory listens at, tcp first.
    ///   - onServer: called before anybody can connect, to register services of this process.
    public init(
        configuration: MeshConfiguration, paths: MeshPaths, environment: [String: String] = ProcessInfo.processInfo.environment,
        logger: Logger, onReady: @escaping @Sendable ([String]) -> Void = { _ in },
        onServer: (@Sendable (DirectoryServer) async throws -> Void)? = nil
    ) {
        self.configuration = configuration
        self.paths = paths
        self.environment = environment
        self.logger = logger
        self.onReady = onReady
        self.onServer = onServer
    }

    /// Opens everything, serves until shutdown, and closes everything again.
    ///
    /// - Throws: ``MeshError``: `configuration`, `identity` or `trust` before anything is opened, `authentication` or `denied` when an
    ///   account cannot be used, `system` when an address cannot be listened on.
    public func run() async throws {
        try paths.prepareDirectories()
        let machineID = try configuration.internal.machineID.resolve(home: paths.homeDirectory)
        let identity = CurrentIdentity(
            try DeviceIdentity.loadOrCreate(directory: paths.stateDirectory), directory: paths.stateDirectory)
        let trust = try TrustStore(file: paths.trustFile)
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: logger)
        do {
            try await serve(on: loop, machineID: machineID, identity: identity, trust: trust)
            await loop.shutDown()
        } catch {
            await loop.shutDown()
            throw error
        }
    }

    private func serve(on loop: BusLoop, machineID: String, identity: CurrentIdentity, trust: TrustStore) async throws {
        var limits = ConnectionLimits()
        limits.maximumPayload = configuration.limits.payload
        let server = try await openDirectory(on: loop, machineID: machineID, limits: limits)
        do {
            try await serve(server, machineID: machineID, identity: identity, trust: trust)
            try await server.closeJournal()
        } catch {
            try await server.closeJournal()
            throw error
        }
    }

    private func openDirectory(on loop: BusLoop, machineID: String, limits: ConnectionLimits) async throws(MeshError) -> DirectoryServer {
        do throws(QiError) {
            let server = try await DirectoryServer.make(on: loop, machineID: machineID, limits: limits, journal: paths.journalFile)
            if configuration.device.role == .member, let master = configuration.device.directory.flatMap(Endpoint.init) {
                try await server.join(master: master)
            }
            return server
        } catch {
            throw MeshError(.system, error.message, hint: error.hint, cause: error)
        }
    }

    private func serve(
        _ server: DirectoryServer, machineID: String, identity: CurrentIdentity, trust: TrustStore
    ) async throws {
        let enrollments = try EnrollmentStore(file: paths.enrollmentFile)
        let gateways = try configuration.xmpp.map { account in
            try XMPPGateway(
                account: account,
                password: configuration.passwordSource(of: account).password(for: account.jid, environment: environment),
                device: configuration.device, server: server, trust: trust, identity: identity, enrollments: enrollments,
                limits: configuration.limits, logger: logger)
        }
        try await server.connectDevices(through: AccountPaths(gateways), pathLoss: configuration.limits.pathLoss)
        let pairing = PairingControl(
            gateways: gateways, server: server, identity: identity, trust: trust, enrollments: enrollments, audit: nil,
            deviceName: configuration.device.name ?? "")
        let control = NodeControl(
            configuration: configuration, server: server, gateways: gateways, identity: identity, trust: trust, additions: [pairing])
        try await server.registerPrivate(control.object, as: NodeControl.name)
        try await onServer?(server)
        var listeners: [Listener] = []
        do {
            for text in configuration.listeners(paths: paths) { listeners.append(try await listen(text, server)) }
            let endpoints = listeners.map(\.endpoint.text)
            control.setEndpoints(endpoints)
            onReady(endpoints.sorted { first, second in first.hasPrefix("tcp") && !second.hasPrefix("tcp") })
            try await runGateways(gateways)
        } catch {
            for listener in listeners { await listener.close() }
            throw error
        }
        for listener in listeners { await listener.close() }
    }

    private func listen(_ text: String, _ server: DirectoryServer) async throws(MeshError) -> Listener {
        guard let endpoint = Endpoint(text) else {
            throw MeshError(.configuration, "internal.listen: \"\(text)\" is not an endpoint", hint: "use tcp://HOST:PORT or unix:/PATH")
        }
        do throws(QiError) {
            return try await server.listen(at: endpoint)
        } catch {
            throw MeshError(.system, error.message, hint: error.hint, cause: error)
        }
    }

    /// Returns at the shutdown; an account that cannot be used ends the node, for its owner counts on it.
    private func runGateways(_ gateways: [XMPPGateway]) async throws {
        guard !gateways.isEmpty else {
            do { try await gracefulShutdown() } catch is CancellationError { return }
            return
        }
        try await withThrowingTaskGroup { group in
            for gateway in gateways { group.addTask { try await gateway.run() } }
            while try await group.next() != nil {}
        }
    }
}
