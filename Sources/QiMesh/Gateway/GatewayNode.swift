public import Logging
import QiMessaging
public import ServiceLifecycle
import Synchronization

/// What `qimesh gateway` runs: the public door as a process of its own, which knows the directory by its socket alone. May run as
/// another user than the directory where that one listens on an address that both reach; its policy, users and audit are its own.
public final class GatewayNode: Service {
    private let configuration: MeshConfiguration
    private let paths: MeshPaths
    private let logger: Logger
    private let onReady: @Sendable ([String]) -> Void
    private let policies = Mutex<PolicyStore?>(nil)
    private let door = Mutex<GatewayService?>(nil)
    private let current: CurrentConfiguration

    /// - Parameter onReady: called once with the addresses it listens at.
    public init(
        configuration: MeshConfiguration, paths: MeshPaths, logger: Logger, onReady: @escaping @Sendable ([String]) -> Void = { _ in }
    ) {
        self.configuration = configuration
        current = CurrentConfiguration(configuration)
        self.paths = paths
        self.logger = logger
        self.onReady = onReady
    }

    /// Opens the door, serves until shutdown, and closes it again. An address that is not there yet, and a file that is missing or cannot
    /// be used, is waited for.
    ///
    /// - Throws: `configuration` for a policy that cannot be read, `system` when another program listens at its addresses.
    public func run() async throws {
        try paths.prepareDirectories()
        let audit = AuditLog(file: paths.gatewayAuditFile, logger: logger)
        let policies = try PolicyStore.open(configuration, paths: paths, audit: audit)
        self.policies.withLock { $0 = policies }
        let apps = try AppStore(file: paths.appFile, logger: logger, onChanged: { policies.setGrants($0) })
        let service = try GatewayService(
            configuration: current.value, paths: paths, access: policies.control, stores: [apps], logger: logger, onReady: onReady)
        door.withLock { $0 = service }
        // What came meanwhile.
        _ = service.reload(current.value)
        try await audit.whileWriting { try await StandingDoor(service, logger: logger).runAlone() }
    }

    /// Takes over what can change while it runs; see ``MeshNode/reload(_:)``.
    public func reload(_ configuration: MeshConfiguration) async -> [String] {
        policies.withLock { $0 }?.follow(configuration)
        current.set(current.value.taking(configuration))
        let refused = door.withLock { $0 }?.reload(configuration) ?? []
        return self.configuration.settingsForRestart(against: configuration) + refused
    }

    /// Reads the policy file again, as SIGHUP asks for; see ``MeshNode/reloadPolicy(by:)``.
    public func reloadPolicy(by whom: String) throws(MeshError) -> PolicyFile? {
        guard let policies = policies.withLock({ $0 }), policies.expectedPath != nil else { return nil }
        return try policies.reload(by: whom)
    }
}
