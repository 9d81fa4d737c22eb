import ArgumentParser
import Foundation
import QiMesh
import QiMessaging

/// `qimesh up`: the node.
struct Up: Verb {
    static let configuration = CommandConfiguration(
        commandName: "up", abstract: "Run this device's node: its directory, and its accounts.",
        discussion: """
            Runs in the foreground until Ctrl-C. Without a configuration it is a local bus, and writes a commented configuration \
            for you to fill in. With device.naoqi there, the services of a robot's own directory are this device's. \
            SIGHUP has it read policy.yaml, the accounts, the device's name and model, the gateway's \
            certificates and gateway.advertise again; other settings need a restart, and the log then says which. A server that \
            refuses an account, or is not there, does not end it, nor does a file of the gateway, a network interface or an address \
            that is not there yet: `qimesh status` says so, and it is tried again. Exit status 7: the configuration cannot be used.
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
        } catch {
            throw CommandFailure(ending: error, console)
        }
    }

    private func serve(_ console: Console) async throws {
        let paths = try MeshPaths.current(configuration: config)
        let listen = try Self.addresses(listen)
        let load: @Sendable () throws(MeshError) -> MeshConfiguration = { () throws(MeshError) in
            try Self.load(paths, listen: listen)
        }
        let configuration = try load()
        if paths.configurationFile == nil { DefaultConfiguration.offer(paths, console) }
        let level = try ForegroundNode.level(logLevel, environment) ?? configuration.log.level
        try await ForegroundNode.run(level: level, load: load) { logger in
            MeshNode(configuration: configuration, paths: paths, logger: logger) { urls in Self.ready(urls, console) }
        }
    }

    /// The addresses in full.
    static func addresses(_ listen: [String]) throws(CommandFailure) -> [String] {
        var urls: [String] = []
        for text in listen {
            guard let endpoint = Endpoint.typed(text) else {
                throw .usage("\"\(text)\" is not an address to listen at: tcp://HOST:PORT or unix:/PATH")
            }
            urls.append(endpoint.text)
        }
        return urls
    }

    private static func load(_ paths: MeshPaths, listen: [String]) throws(MeshError) -> MeshConfiguration {
        var configuration = try MeshConfiguration.load(paths: paths)
        if !listen.isEmpty { configuration.internal.listen = listen }
        return configuration
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

extension CommandFailure {
    /// Why a node that ran in the foreground has ended.
    init(ending error: any Error, _ console: Console) {
        switch error {
        case let failure as CommandFailure: self = failure
        case let error as MeshError:
            if console.verbosity > 1 { console.note(error.detailedDescription()) }
            self.init(error)
        default: self.init(.system, "the node ended: \(error)")
        }
    }
}
