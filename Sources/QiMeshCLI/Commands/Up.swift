import ArgumentParser
import Foundation
import Logging
import QiMesh
import QiMessaging
import ServiceLifecycle
import UnixSignals

/// `qimesh up`: the node.
struct Up: Verb {
    static let configuration = CommandConfiguration(
        commandName: "up", abstract: "Run this device's node: its directory, and its accounts.",
        discussion: """
            Runs in the foreground until Ctrl-C. Without a configuration it is a local bus, and writes a commented configuration
            for you to fill in. Exit status 4: an account's login or a server's certificate was refused; 7: the configuration
            cannot be used.
            """)

    @Option(help: "The configuration file (default: $QIMESH_CONFIG, ~/.config/qimesh/qimesh.yaml, /etc/qimesh/qimesh.yaml).")
    var config: String?

    @Option(
        help: "Where the directory listens, instead of what the configuration says; may be repeated. Its socket is kept.")
    var listen: [String] = []

    @Option(help: "trace, debug, info, notice, warning, error or critical (default: $QIMESH_LOG, the configuration).")
    var logLevel: String?

    @OptionGroup var output: OutputOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        do {
            try await serve(console)
        } catch let failure as CommandFailure {
            throw failure
        } catch let error as MeshError {
            if console.verbosity > 1 { console.note(error.detailedDescription()) }
            throw CommandFailure(error)
        } catch {
            throw CommandFailure(.system, "the node ended: \(error)")
        }
    }

    private func serve(_ console: Console) async throws {
        let paths = try MeshPaths.current(configuration: config)
        var configuration = try MeshConfiguration.load(paths: paths)
        if !listen.isEmpty {
            // The commands of this user need the socket, wherever else the directory listens.
            let hasSocket = listen.contains { $0.hasPrefix("unix:") }
            configuration.internal.listen = listen + (hasSocket ? [] : ["unix:" + paths.directorySocket])
        }
        if paths.configurationFile == nil { DefaultConfiguration.offer(paths, console) }
        let level = try chosenLevel() ?? configuration.log.level
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = level
            return handler
        }
        var logger = Logger(label: "qimesh")
        logger.logLevel = level
        let node = MeshNode(configuration: configuration, paths: paths, logger: logger) { urls in
            Self.ready(urls, console)
        }
        // Its own remarks on starting and stopping say nothing that ours do not.
        var quiet = Logger(label: "qimesh.lifecycle")
        quiet.logLevel = .error
        let group = ServiceGroup(
            configuration: .init(
                services: [.init(service: InterruptibleNode(node: node, logger: logger), successTerminationBehavior: .gracefullyShutdownGroup)],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet))
        try await group.run()
    }

    private func chosenLevel() throws(CommandFailure) -> Logger.Level? {
        let named = environment["QIMESH_LOG"].flatMap { $0.isEmpty ? nil : $0 }
        guard let text = logLevel ?? named else { return nil }
        guard let level = Logger.Level(rawValue: text.lowercased()) else {
            throw .usage("\"\(text)\" is no log level", hint: Logger.Level.allCases.map(\.rawValue).joined(separator: ", "))
        }
        return level
    }

    /// What whoever started us waits for; with `--json` also the one document on stdout.
    private static func ready(_ urls: [String], _ console: Console) {
        let sorted = urls.filter { $0.hasPrefix("tcp") } + urls.filter { !$0.hasPrefix("tcp") }
        console.always("ready: directory " + sorted.joined(separator: " "))
        if console.json { console.done(.object([("directory", .array(sorted.map { .string($0) }))])) }
        if console.isTerminal.errors, let first = sorted.first {
            console.note("try: qimesh ls; python: session.connect(\"\(first)\"); Ctrl-C ends it")
        }
    }
}

/// The node, with a second signal that ends it at once: who presses Ctrl-C twice means it.
private struct InterruptibleNode: Service {
    let node: MeshNode
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

extension CommandFailure {
    /// What the node says went wrong. Both have the same words for codes; one that this command does not know counts as the
    /// system's.
    init(_ error: MeshError, device: String? = nil) {
        self.init(Code(rawValue: error.code.description) ?? .system, error.message, hint: error.hint, device: device)
    }
}
