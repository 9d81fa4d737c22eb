import QiMesh

/// The command as it was typed, for advice that says it again with another option.
struct TypedCommand: Sendable {
    /// What came after the program's name.
    var words: [String]

    /// A longer one is not repeated: nobody reads it on a terminal.
    private static let lengthLimit = 400

    init(_ words: [String]) { self.words = words }

    /// The command with an option more, to paste; nil when it is too long to show.
    ///
    /// An option that it has already is not given again.
    func adding(_ option: String, _ value: String) -> String? {
        let end = words.firstIndex(of: "--") ?? words.endIndex
        var words = words
        let isThere = words[..<end].contains { $0 == option || $0.hasPrefix(option + "=") }
        if !isThere { words.insert(contentsOf: [option, value], at: end) }
        let text = ShellWord.joined(["qimesh"] + words)
        return text.utf8.count <= Self.lengthLimit ? text : nil
    }
}
