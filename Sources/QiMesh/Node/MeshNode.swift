public import Foundation
public import Logging
import NIOCore
import NIOPosix
public import QiMessaging
public import ServiceLifecycle
import Synchronization
import XMPP

/// What `qimesh up` runs: the directory, and a gateway for each account. ``run()`` is its lifetime.
public final class MeshNode: Service {
    /// The version this node tells.
    public static let version = SoftwareVersion.text

    private let configuration: MeshConfiguration
    private let current: CurrentConfiguration
    private let paths: MeshPaths
    private let environment: [String: String]
    private let logger: Logger
    private let onReady: @Sendable ([String]) -> Void
    private let policies = Mutex<PolicyStore?>(nil)
    private let door = Mutex<GatewayService?>(nil)
    private let running = Mutex<Running?>(nil)
    private let onServer: (@Sendable (DirectoryServer) async throws -> Void)?

    /// For accounts, two each.
    private static let lowDescriptors = 16

    /// What a reload reaches.
    private struct Running: Sendable {
        let server: DirectoryServer
        let accounts: AccountSet
    }

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
        current = CurrentConfiguration(configuration)
        self.paths = paths
        self.environment = environment
        self.logger = logger
        self.onReady = onReady
        self.onServer = onServer
    }

    /// Opens everything, serves until shutdown, and closes everything again.
    ///
    /// What a server says of an account, a public door that cannot be opened yet, whatever the reason, and addresses, names and network
    /// interfaces that are not there yet are states that `status` tells; none of them ends the node.
    ///
    /// - Throws: ``MeshError``: `configuration`, `identity` or `trust` before anything is opened, `system` when an address of the
    ///   directory is there at the start and cannot be listened on.
    public func run() async throws {
        try paths.prepareDirectories()
        LowDescriptors.keep(Self.lowDescriptors)
        let machineID = try configuration.internal.machineID.resolve(home: paths.homeDirectory)
        let identity = CurrentIdentity(
            try DeviceIdentity.loadOrCreate(directory: paths.stateDirectory), directory: paths.stateDirectory)
        let trust = try TrustStore(file: paths.trustFile)
        let audit = AuditLog(file: paths.auditFile, logger: logger)
        let policies = try PolicyStore.open(configuration, paths: paths, audit: audit)
        self.policies.withLock { $0 = policies }
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: logger)
        try await audit.whileWriting {
            do {
                try await serve(on: loop, machineID: machineID, identity: identity, trust: trust, policies: policies)
                await loop.shutDown()
            } catch {
                await loop.shutDown()
                throw error
            }
        }
    }

    /// Reads the policy file again, as `qimesh policy reload` and SIGHUP ask for. What is running goes on under the new rules.
    ///
    /// - Parameter whom: who asked, for the audit.
    /// - Returns: what was read; nil when the node does not run, or has no policy file.
    /// - Throws: as ``PolicyStore/reload(by:)``; then the rules of before hold.
    public func reloadPolicy(by whom: String) throws(MeshError) -> PolicyFile? {
        guard let policies = policies.withLock({ $0 }), policies.expectedPath != nil else { return nil }
        return try policies.reload(by: whom)
    }

    /// Takes over what can change while it runs: accounts, groups, the name and model of the device, the addresses that the gateway tells
    /// its clients, its certificates, and where the policy file is, which ``reloadPolicy(by:)`` reads. No connection ends but those of an
    /// account that changed, and those made with a certificate that is not trusted any more.
    ///
    /// - Returns: the settings that differ from those the node runs with, and take effect when it is started again; accounts and
    ///   certificates that cannot be used with the reason.
    public func reload(_ configuration: MeshConfiguration) async -> [String] {
        policies.withLock { $0 }?.follow(configuration)
        let refused = door.withLock { $0 }?.reload(configuration) ?? []
        let before = current.value
        let later = before.settingsForRestart(against: configuration)
        let taken = before.taking(configuration)
        current.set(taken)
        // A node that is still starting takes it when its accounts are made.
        guard let running = running.withLock({ $0 }) else { return later + refused }
        let change = running.accounts.take(taken)
        if !change.text.isEmpty { logger.notice("accounts taken over", metadata: ["accounts": "\(change.text)"]) }
        if taken.deviceName != before.deviceName {
            do throws(QiError) {
                try await running.server.nameBoard(taken.deviceName)
                logger.notice("the device has another name", metadata: ["name": "\(taken.deviceName)"])
            } catch {
                logger.error("the device keeps its name", metadata: ["error": "\(error)"])
            }
        }
        return later + refused + change.refused
    }

    private func serve(
        on loop: BusLoop, machineID: String, identity: CurrentIdentity, trust: TrustStore, policies: PolicyStore
    ) async throws {
        var limits = ConnectionLimits()
        limits.maximumPayload = configuration.limits.payload
        let server = try await openDirectory(on: loop, machineID: machineID, limits: limits, access: policies.control)
        do {
            try await serve(server, machineID: machineID, identity: identity, trust: trust, policies: policies)
            try await server.closeJournal()
        } catch {
            try await server.closeJournal()
            throw error
        }
    }

    private func openDirectory(
        on loop: BusLoop, machineID: String, limits: ConnectionLimits, access: AccessControl
    ) async throws(MeshError) -> DirectoryServer {
        do throws(QiError) {
            let server = try await DirectoryServer.make(
                on: loop, machineID: machineID, limits: limits, journal: paths.journalFile, access: access)
            if configuration.device.role == .member, let master = configuration.device.directory.flatMap(Endpoint.init) {
                try await server.join(master: master)
            }
            try await server.nameBoard(configuration.deviceName)
            return server
        } catch {
            throw MeshError(.system, error.message, hint: error.hint, cause: error)
        }
    }

    private func serve(
        _ server: DirectoryServer, machineID: String, identity: CurrentIdentity, trust: TrustStore, policies: PolicyStore
    ) async throws {
        let enrollments = try EnrollmentStore(file: paths.enrollmentFile)
        let apps = try AppStore(file: paths.appFile, logger: logger, onChanged: { policies.setGrants($0) })
        if trust.isWithoutContacts, !configuration.xmpp.isEmpty {
            logger.notice(
                "an earlier version took its contacts from the server; those that you let in have to be approved once",
                metadata: ["see": "qimesh devices"])
        }
        let accounts = try AccountSet(configuration, logger: logger) {
            [configuration, environment, logger] (account, device) throws(MeshError) in
            try XMPPGateway(
                account: account,
                password: { () throws(MeshError) in
                    try configuration.passwordSource(of: account).password(for: account.jid, environment: environment)
                }, device: device, server: server, trust: trust, identity: identity, enrollments: enrollments,
                ways: PathNetworks(configuration), limits: configuration.limits, logger: logger)
        }
        running.withLock { $0 = Running(server: server, accounts: accounts) }
        defer { running.withLock { $0 = nil } }
        // What came while the node was starting; nothing, as a rule.
        let started = current.value
        _ = accounts.take(started)
        if started.deviceName != configuration.deviceName { try await server.nameBoard(started.deviceName) }
        try await server.connectDevices(
            through: AccountPaths(accounts) { [current] in current.value.groups }, pathLoss: configuration.limits.pathLoss,
            resume: configuration.paths.resume, callsInFlight: configuration.limits.callsPerPeer,
            returnTime: configuration.paths.returnTime)
        let door = try publicDoor(policies, apps).map { StandingDoor($0, logger: logger) }
        self.door.withLock { $0 = door?.service }
        // What came meanwhile.
        _ = door?.service.reload(current.value)
        let control = NodeControl(
            configuration: current, server: server, accounts: accounts, identity: identity, trust: trust, enrollments: enrollments,
            apps: apps, policies: policies, door: door)
        try await server.registerPrivate(MeshControlBinding(control).makeObject(), as: MeshControlProxy.serviceName)
        try await onServer?(server)
        // Before the first of them opens it is known whom to let in.
        let internalDoor = try await server.internalDoor(
            networks: configuration.internal.interfaces.map { _ in [] }, users: try configuration.internal.users.resolved())
        if let naoqi = configuration.device.naoqi { try await follow(naoqi, by: server, internalDoor) }
        let listeners = internalListeners(server, internalDoor)
        do throws(MeshError) {
            try await listeners.open()
        } catch {
            await listeners.close()
            throw error
        }
        control.setEndpoints(listeners.endpoints, missing: listeners.missing)
        onReady(listeners.endpoints.sorted { first, second in first.hasPrefix("tcp") && !second.hasPrefix("tcp") })
        await run(server, accounts, door, listeners) { control.setEndpoints(listeners.endpoints, missing: listeners.missing) }
        await server.stopFollowing()
        await listeners.close()
    }

    private func follow(_ naoqi: MeshConfiguration.NAOqi, by server: DirectoryServer, _ door: DirectoryServer.Door) async throws {
        try configuration.checkNAOqi(paths: paths)
        let upstream = try naoqi.upstream(paths: paths, door: door)
        if configuration.hasNAOqiAtUsualPort, configuration.internal.listen == nil {
            logger.notice(
                "NAOqi's directory has the usual port, so this one listens at the next",
                metadata: ["naoqi": "\(naoqi.address)", "qi.endpoint": "\(MeshConfiguration.listenerBesideNAOqi)"])
        }
        do throws(QiError) {
            try await server.follow(upstream)
        } catch {
            throw MeshError(.configuration, "device.naoqi: \(error.message)", hint: error.hint, cause: error)
        }
    }

    private func internalListeners(_ server: DirectoryServer, _ door: DirectoryServer.Door) -> DirectoryListeners {
        let (names, listen) = (configuration.internal.interfaces, configuration.listeners(paths: paths))
        return DirectoryListeners(server, door: door, follows: names != nil, logger: logger) { () throws(MeshError) in
            try InternalListening(names, listen)
        } onOpen: { [self] in warn(about: $0) }
    }

    /// What is opened to other machines is said; the policy may say less for `zone:internal`.
    private func warn(about endpoint: Endpoint) {
        guard !endpoint.isLoopback else { return }
        let interfaces = configuration.internal.interfaces.map { "the interfaces \($0.joined(separator: ", "))" } ?? "every interface"
        logger.warning(
            "programs on other machines may use every service here, and register services, without being asked who they are",
            metadata: [
                "qi.endpoint": "\(endpoint.text)", "from": "\(interfaces)",
                "hint": "internal.interfaces names the robot's own networks; a gateway asks who comes in",
            ])
    }

    /// The door of the configuration, unless it is a process of its own.
    private func publicDoor(_ policies: PolicyStore, _ apps: AppStore) throws(MeshError) -> GatewayService? {
        let configuration = current.value
        guard let gateway = configuration.gateway, !gateway.isSeparate else { return nil }
        return try GatewayService(
            configuration: configuration, paths: paths, access: policies.control, stores: [apps], logger: logger
        ) { [logger] urls in
            logger.info("gateway ready", metadata: ["qi.endpoint": "\(urls.joined(separator: " "))"])
        }
    }

    /// At the shutdown: gives what was called before its time.
    private static func drain(_ server: DirectoryServer, _ time: Duration) async {
        // Cancelled: the node ends at once.
        do { try await gracefulShutdown() } catch { return }
        await server.drain(within: time)
    }

    /// Returns at the shutdown: accounts and the door live by themselves, and the directory through whatever happens to them.
    private func run(
        _ server: DirectoryServer, _ accounts: AccountSet, _ door: StandingDoor?, _ listeners: DirectoryListeners,
        onChange: @escaping @Sendable () -> Void
    ) async {
        await withTaskGroup { group in
            group.addTask { await listeners.run(onChange: onChange) }
            group.addTask { [configuration] in await Self.drain(server, configuration.limits.stop) }
            group.addTask { await accounts.run() }
            if let door { group.addTask { await door.run() } }
            await group.waitForAll()
        }
    }
}
