import ArgumentParser
import Foundation

/// The process: parses, runs, and ends with the exit status of the reference "cli-and-config" §3.
@main
enum Program {
    static func main() async {
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
        guard QiMeshCommand.exitCode(for: error) != .success else {
            console.line(QiMeshCommand.fullMessage(for: error))
            exit(0)
        }
        console.json = arguments.prefix { $0 != "--" }.contains("--json")
        let message = QiMeshCommand.message(for: error)
        console.failure(.usage(message, hint: advice(arguments)))
        exit(CommandFailure.Code.usage.exitStatus)
    }

    /// Where to read on: about the verb typed, or the one that was probably meant.
    private static func advice(_ arguments: [String]) -> String {
        let verbs = QiMeshCommand.configuration.subcommands.compactMap { $0.configuration.commandName }
        guard let typed = arguments.first(where: { !$0.hasPrefix("-") }) else { return "qimesh help" }
        if verbs.contains(typed) { return "qimesh help \(typed)" }
        return Spelling.nearest(to: typed, in: verbs).map { "qimesh \($0)" } ?? "qimesh help"
    }
}
