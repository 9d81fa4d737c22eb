extension ShellWord {
    /// A whole command.
    package static func joined(_ words: some Sequence<String>) -> String { words.map(quoted).joined(separator: " ") }
}

extension DefaultStringInterpolation {
    /// A name or path as one word of a shell, for commands that are shown: `"qimesh trust \(word: jid)"`.
    package mutating func appendInterpolation(word text: some CustomStringConvertible) {
        appendLiteral(ShellWord.quoted(text.description))
    }
}
