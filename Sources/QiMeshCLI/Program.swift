import ArgumentParser
import Foundation
import QiMesh

/// The process: parses, runs, and ends with the exit status of the reference "cli-and-config" §3.
@main
enum Program {
    static func main() async {
        StandardDescriptors.openThoseClosed()
        let arguments = Array(CommandLine.arguments.dropFirst())
        do {
            var command = try QiMeshCommand.parseAsRoot(NegativeNumbers.protected(arguments))
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch let code as ExitCode {
            exit(code.rawValue)
        } catch {
            end(error, arguments)
        }
    }

    /// Help and version are what was asked for; everything else was typed wrong.
    private static func end(_ error: any Error, _ arguments: [String]) -> Never {
        var console = Console(json: false, quiet: false, verbosity: 0, colour: .never, environment: [:])
        console.json = arguments.prefix { $0 != "--" }.contains("--json")
        if QiMeshCommand.exitCode(for: error) == .success {
            guard let failure = CommandFailure(help: arguments) else {
                let columns = console.width ?? 80
                console.data(HelpText.wrapped(QiMeshCommand.fullMessage(for: error, columns: columns), to: columns))
                exit(0)
            }
            console.failure(failure)
        } else {
            console.failure(CommandFailure(usage: QiMeshCommand.message(for: error), of: arguments))
        }
        exit(CommandFailure.Code.usage.exitStatus)
    }
}
