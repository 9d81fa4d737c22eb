import ArgumentParser
import Foundation
import QiMesh

/// `qimesh ping`: asks a device whether it is alive, and measures how long the answer takes.
struct Ping: NodeVerb {
    static let configuration = CommandConfiguration(
        commandName: "ping", abstract: "Ask a device whether it is alive, and measure the round trip.",
        discussion: """
            The question goes from node to node through their XMPP servers (XEP-0199), path xmpp, whatever way calls take; no service is \
            asked, and no tunnel opened. Ends after --count questions or at Ctrl-C, with a summary; each may take --timeout, 5s. \
            Exit status 0: at least one was answered; 5: the device is not there; 6: it is there, its server says, and none was answered.
            """)

    @Argument(help: "The nickname or address of the device.")
    var device: String

    @Option(name: .shortAndLong, help: "End after so many questions (default: at Ctrl-C).")
    var count: Int?

    @Option(name: .shortAndLong, help: "From one question to the next, at least 200ms.")
    var interval = TimeSpan(.seconds(1))

    @OptionGroup var output: OutputOptions
    @OptionGroup var node: NodeOptions

    func validate() throws {
        if let count, count < 1 { throw ValidationError("--count has to be at least 1") }
        guard interval.duration >= .milliseconds(200) else { throw ValidationError("--interval has to be at least 200ms") }
    }

    func perform(_ console: Console) async throws(CommandFailure) {
        guard case .contact(let contact) = try DeviceName(device) else {
            throw .usage("ping asks a contact of the node, and \(device) is a directory", hint: "qimesh ls \(word: device)")
        }
        let limit = try node.patience(environment).limit ?? .seconds(5)
        guard limit <= .seconds(600) else { throw .usage("a ping may take up to 10 min: --timeout") }
        try await withControl(console) { [count, interval] (control, _) async throws(CommandFailure) in
            let run = PingRun(
                control: ControlInterface(proxy: control.proxy, patience: control.patience, console: console.silent), device: contact,
                count: count, interval: interval.duration, limit: limit, console: console)
            try await run.run()
        }
    }
}
