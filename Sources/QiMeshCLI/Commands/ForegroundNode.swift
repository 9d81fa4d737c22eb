import Foundation
import Logging
import QiMesh
import QiMessaging
import ServiceLifecycle
import UnixSignals

/// A node whose policy can be read again.
protocol PolicyNode: Service {
    func reloadPolicy(by whom: String) throws(MeshError) -> PolicyFile?
}

extension MeshNode: PolicyNode {}
extension GatewayNode: PolicyNode {}

/// Runs a node until it is asked to end: Ctrl-C, SIGTERM. SIGHUP has it read its policy again.
enum ForegroundNode {
    static func run(level: Logger.Level, _ make: (Logger) throws -> any PolicyNode) async throws {
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = level
            return handler
        }
        var logger = Logger(label: "qimesh")
        logger.logLevel = level
        let node = InterruptibleNode(node: try make(logger), logger: logger)
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
            throw .usage("\"\(text)\" is no log level", hint: Logger.Level.allCases.map(\.rawValue).joined(separator: ", "))
        }
        return level
    }
}

/// The node, with a second signal that ends it at once: who presses Ctrl-C twice means it.
private struct InterruptibleNode: Service {
    let node: any PolicyNode
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

    /// SIGHUP: as `qimesh policy reload`.
    private func reloadOnRequest() async {
        for await _ in await UnixSignalsSequence(trapping: .sighup) {
            do throws(MeshError) {
                guard let file = try node.reloadPolicy(by: "SIGHUP") else { continue }
                logger.notice("policy reloaded", metadata: ["path": "\(file.path)", "rules": "\(file.policy.rules.count)"])
            } catch {
                logger.error("policy not reloaded: the rules of before stay in force", metadata: ["error": "\(error.message)"])
            }
        }
    }
}
