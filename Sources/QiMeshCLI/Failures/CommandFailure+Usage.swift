import ArgumentParser
import QiMesh

extension CommandFailure {
    /// A command line that could not be understood: an unknown verb is called so, with the one that was probably meant.
    /// - Parameters:
    ///   - message: what the parser says of it.
    ///   - arguments: what followed the program's name.
    init(usage message: String, of arguments: [String]) {
        let walk = VerbWalk(arguments)
        if let failure = walk.unknown {
            self = failure
        } else if walk.path.count == 1, arguments.first?.hasPrefix("-") == true, arguments.contains(where: VerbWalk.isVerb) {
            self = .usage("\(message); options follow the verb", hint: "qimesh help")
        } else {
            self = .usage(message, hint: walk.help)
        }
    }

    /// What is wrong with a request for help about a verb that does not exist; nil when nothing is.
    init?(help arguments: [String]) {
        guard arguments.first == "help", let failure = VerbWalk(Array(arguments.dropFirst())).unknown else { return nil }
        self = .usage(failure.message, hint: "qimesh help")
    }
}

/// The verbs at the beginning of a command line.
private struct VerbWalk {
    /// The program's name, and the verbs that were found.
    private(set) var path = ["qimesh"]
    /// Says that a word is no verb where one is expected; nil when none is there.
    private(set) var unknown: CommandFailure?

    /// The command that explains the verb.
    var help: String { ShellWord.joined([path[0], "help"] + path.dropFirst()) }

    init(_ arguments: [String]) {
        var command: any ParsableCommand.Type = QiMeshCommand.self
        for (index, word) in arguments.enumerated() {
            let verbs = command.configuration.subcommands
            if verbs.isEmpty || word == "--" { return }
            if word.hasPrefix("-") {
                // Its value could be taken for a verb.
                if path.count == 1 { return }
            } else if let next = verbs.first(where: { $0.configuration.commandName == word }) {
                command = next
                path.append(word)
            } else {
                unknown = failure(word, verbs.compactMap { $0.configuration.commandName }, Array(arguments[(index + 1)...]))
                return
            }
        }
    }

    static func isVerb(_ word: String) -> Bool { QiMeshCommand.configuration.subcommands.contains { $0.configuration.commandName == word } }

    private func failure(_ word: String, _ verbs: [String], _ rest: [String]) -> CommandFailure {
        let place = path.count > 1 ? " of \(path.joined(separator: " "))" : ""
        guard let near = Spelling.nearest(to: word, in: verbs) else {
            return .usage("there is no verb \"\(word)\"\(place)", hint: help)
        }
        // The token that follows `pair` is a secret, and is not said again.
        let command = ShellWord.joined(path + [near] + (near == "pair" ? [] : rest))
        return .usage("there is no verb \"\(word)\"\(place); did you mean \(near)?", hint: command)
    }
}
