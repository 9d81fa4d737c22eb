import ArgumentParser
import Foundation
import QiMesh
import Testing

@testable import QiMeshCLI

@Suite("The command line is understood")
struct ParsingTests {
    private func parse<Command>(_ line: String, as type: Command.Type = Command.self) throws -> Command {
        let arguments = line.split(separator: " ").map(String.init)
        return try #require(try QiMeshCommand.parseAsRoot(NegativeNumbers.protected(arguments)) as? Command)
    }

    @Test func call() throws {
        let call = try parse("call pepper/Peer.turn -90 hello --json --timeout 5s --qi-url tcp://a:1", as: Call.self)
        #expect(call.target == "pepper/Peer.turn" && call.arguments == [" -90", "hello"])
        #expect(call.output.json && call.node.timeout == TimeSpan(.seconds(5)) && call.node.url == "tcp://a:1")
    }

    @Test func watch() throws {
        let watch = try parse("watch ALMemory.* Peer.x --count 2 --for 3s --latest -d pepper", as: Watch.self)
        #expect(watch.targets == ["ALMemory.*", "Peer.x"] && watch.count == 2 && watch.latest && watch.device.device == "pepper")
        #expect(watch.time == TimeSpan(.seconds(3)))
    }

    @Test func host() throws {
        let host = try parse("host pepper --wait-online 1m -- python3 vision.py --qi-url {url} -5 -- x", as: HostServices.self)
        #expect(host.device == "pepper" && host.wait.waitOnline == TimeSpan(.seconds(60)))
        #expect(host.command == ["python3", "vision.py", "--qi-url", "{url}", "-5", "--", "x"])
    }

    @Test func others() throws {
        #expect(try parse("call A.b --max-size 4M", as: Call.self).maxSize == ByteCount(argument: "4000kB"))
        #expect(try parse("call A.b --max-size 64KiB", as: Call.self).maxSize?.bytes == 65_536)
        #expect(try parse("invite p@x --name pepper", as: Invite.self).name == "pepper")
        #expect(try parse("trust p@x --accept", as: Trust.self).accept)
        #expect(try parse("tunnel pepper", as: Tunnel.self).listen == "tcp://127.0.0.1:0")
        #expect(try parse("tunnel pepper --register", as: Tunnel.self).register)
        #expect(try parse("up --listen unix:/a --listen tcp://b:1 --config f", as: Up.self).listen == ["unix:/a", "tcp://b:1"])
        #expect(try parse("ls -u unix:/x -vv", as: ListServices.self).output.verbose == 2)
        #expect(try parse("info Peer --hidden --signature --color never", as: Info.self).hidden)
        #expect(try parse("set Peer.x -1", as: SetProperty.self).value == " -1")
    }

    @Test(
        "wrong usage",
        arguments: [
            "call", "call A.b --path xmpp", "call A.b --max-size 4T", "call A.b --max-size 0",
            "watch", "watch A.b --count 0", "invite", "no-such-verb", "ls --timeout soon", "ls --color red", "set A.b",
            "host pepper", "host pepper --", "host pepper python3",
        ])
    func refuses(_ line: String) {
        let error = #expect(throws: (any Error).self) { try parse(line, as: (any ParsableCommand).self) }
        #expect(error.map { QiMeshCommand.exitCode(for: $0) } == .validationFailure)
    }

    @Test("each verb explains itself")
    func help() {
        for verb in QiMeshCommand.configuration.subcommands {
            #expect(!verb.configuration.abstract.isEmpty, "\(verb)")
            #expect(verb.helpMessage().contains("OPTIONS"), "\(verb)")
        }
    }

    @Test("help fills a terminal of 80 columns and does not run over it")
    func helpIsWrapped() {
        func all(_ command: any ParsableCommand.Type) -> [any ParsableCommand.Type] {
            [command] + command.configuration.subcommands.flatMap(all)
        }
        for command in all(QiMeshCommand.self) {
            let lines = HelpText.wrapped(command.helpMessage(columns: 80), to: 80).components(separatedBy: "\n")
            for line in lines { #expect(line.count <= 80, "\(command): \(line)") }
            // A line that ends early in the middle of a paragraph was wrapped twice.
            for paragraph in command.configuration.discussion.components(separatedBy: "\n\n") where !paragraph.hasPrefix(" ") {
                #expect(!paragraph.contains("\n"), "\(command): \(paragraph)")
            }
        }
    }

    @Test("the line of usage is broken between options, below its beginning")
    func usageIsWrapped() {
        let text = "OVERVIEW: o\n\nUSAGE: qimesh x [--config <config>] [--listen <listen> ...] <a> [<b>]\n\nOPTIONS:\n\n"
        #expect(HelpText.wrapped(text, to: 40).components(separatedBy: "\n") == [
            "OVERVIEW: o", "", "USAGE: qimesh x [--config <config>]", "       [--listen <listen> ...] <a> [<b>]", "", "OPTIONS:",
        ])
        #expect(HelpText.wrapped("USAGE: qimesh x", to: 40) == "USAGE: qimesh x")
    }

    @Test func timeoutFromTheEnvironment() throws {
        let options = try parse("ls", as: ListServices.self).node
        #expect(try options.patience([:]).answer == .seconds(10) && options.patience([:]).device == .seconds(30))
        #expect(try options.patience(["QIMESH_TIMEOUT": "2s"]).device == .seconds(2))
        #expect(try parse("ls --timeout 1s", as: ListServices.self).node.patience(["QIMESH_TIMEOUT": "x"]).answer == .seconds(1))
        let failure = #expect(throws: CommandFailure.self) { try options.patience(["QIMESH_TIMEOUT": "soon"]) }
        #expect(failure?.code == .usage)
    }
}
