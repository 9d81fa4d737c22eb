import Foundation
import Logging
import QiMesh
import QiMessaging
import ServiceLifecycle
import UnixSignals

/// A node whose policy and configuration can be read again.
protocol PolicyNode: Service {
    func reloadPolicy(by whom: String) throws(MeshError) -> PolicyFile?
    func reload(_ configuration: MeshConfiguration) async -> [String]
}

extension MeshNode: PolicyNode {}
extension GatewayNode: PolicyNode {}

/// Runs a node until it is asked to end: Ctrl-C, SIGTERM. SIGHUP has it read its policy and its configuration again.
enum ForegroundNode {
    /// - Parameter load: reads the configuration again.
    static func run(
        level: Logger.Level, load: @escaping @Sendable () throws(MeshError) -> MeshConfiguration,
        _ make: (Logger) throws -> any PolicyNode
    ) async throws {
        // Before any key, password or token is read.
        try ProcessSeal.close()
        LoggingSystem.bootstrap { PrintableLogHandler.standardError(label: $0, level: level) }
        var logger = Logger(label: "qimesh")
        logger.logLevel = level
        // Before anything is opened: each connection is a descriptor, and the soft limit is 1024 on most systems.
        Descriptors.raiseLimit()
        let node = InterruptibleNode(node: try make(logger), load: load, logger: logger)
        // Its own remarks on starting and stopping say nothing that ours do not.
        var quiet = Logger(label: "qimesh.lifecycle")
        quiet.logLevel = .error
        let group = ServiceGroup(
            configuration: .init(
                services: [.init(service: node, successTerminationBehavior: .gracefullyShutdownGroup)],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet))
        try await group.run()
    }

    /// The level that was asked for; nil when none was.
    static func level(_ option: String?, _ environment: [String: String]) throws(CommandFailure) -> Logger.Level? {
        let named = environment["QIMESH_LOG"].flatMap { $0.isEmpty ? nil : $0 }
        guard let text = option ?? named else { return nil }
        guard let level = Logger.Level(rawValue: text.lowercased()) else {
            throw .usage("\"\(text)\" is no log level: \(Logger.Level.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return level
    }
}

/// The node, with a second signal that ends it at once: who presses Ctrl-C twice means it.
private struct InterruptibleNode: Service {
    let node: any PolicyNode
    let load: @Sendable () throws(MeshError) -> MeshConfiguration
    let logger: Logger

    func run() async throws {
        try await withThrowingTaskGroup { group in
            group.addTask { await reloadOnRequest() }
            defer { group.cancelAll() }
            try await withGracefulShutdownHandler {
                try await node.run()
            } onGracefulShutdown: {
                signal(SIGINT, SIG_DFL)
                signal(SIGTERM, SIG_DFL)
            }
        }
    }

    /// SIGHUP: as `qimesh policy reload`, and what can change of the configuration.
    private func reloadOnRequest() async {
        for await _ in await UnixSignalsSequence(trapping: .sighup) {
            await reloadConfiguration()
            do throws(MeshError) {
                guard let file = try node.reloadPolicy(by: "SIGHUP") else { continue }
                logger.notice("policy reloaded", metadata: ["path": "\(file.path)", "rules": "\(file.policy.rules.count)"])
            } catch {
                logger.error("policy not reloaded: the rules of before stay in force", metadata: ["error": "\(error.message)"])
            }
        }
    }

    private func reloadConfiguration() async {
        do throws(MeshError) {
            let configuration = try load()
            let later = await node.reload(configuration)
            if let advertised = configuration.gateway?.advertise {
                logger.notice("configuration reloaded", metadata: ["gateway.advertise": "\(advertised.joined(separator: " "))"])
            }
            guard !later.isEmpty else { return }
            logger.warning(
                "not taken over; what is named without a reason takes effect when the node is started again",
                metadata: ["settings": "\(later.joined(separator: ", "))"])
        } catch {
            logger.error("configuration not reloaded: that of before stays in force", metadata: ["error": "\(error.message)"])
        }
    }
}
