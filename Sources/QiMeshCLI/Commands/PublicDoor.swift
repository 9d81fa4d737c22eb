import ArgumentParser
import Logging
import QiMesh

/// `qimesh gateway`: the public door as a process of its own.
struct PublicDoor: Verb {
    static let configuration = CommandConfiguration(
        commandName: "gateway", abstract: "Run only the public door: the gateway of the configuration.",
        discussion: """
            Runs in the foreground until Ctrl-C. It knows the directory by its socket alone (or the NAOqi directory named as \
            gateway.naoqi), and comes back by itself when that is restarted; clients outside stay connected meanwhile. With \
            gateway.separate: true, `qimesh up` leaves the door to this command. SIGHUP has it read policy.yaml, \
            its certificates and gateway.advertise again. An address or a file that is not there yet is waited for. Exit status 1: \
            another program has its port; 7: the configuration cannot be used.
            """)

    @Option(help: "The configuration file (default: $QIMESH_CONFIG, ~/.config/qimesh/qimesh.yaml, /etc/qimesh/qimesh.yaml).")
    var config: String?

    @Option(help: "trace, debug, info, notice, warning, error or critical (default: $QIMESH_LOG, the configuration).")
    var logLevel: String?

    @OptionGroup var output: OutputOptions

    func perform(_ console: Console) async throws(CommandFailure) {
        do {
            let paths = try MeshPaths.current(configuration: config)
            let configuration = try MeshConfiguration.load(paths: paths)
            let level = try ForegroundNode.level(logLevel, environment) ?? configuration.log.level
            try await ForegroundNode.run(
                level: level, load: { () throws(MeshError) in try MeshConfiguration.load(paths: paths) }
            ) { logger in
                GatewayNode(configuration: configuration, paths: paths, logger: logger) { Self.ready($0, console) }
            }
        } catch {
            throw CommandFailure(ending: error, console)
        }
    }

    private static func ready(_ urls: [String], _ console: Console) {
        console.always("ready: gateway " + urls.joined(separator: " "))
        if console.json { console.done(.object([("gateway", .array(urls.map { .string($0) }))])) }
    }
}
