import ArgumentParser
import Foundation
import Testing

@testable import QiMeshCLI

/// Walks what the sources and documents tell people to type: a command in a hint has to exist, with its options, and names in it have to
/// be quoted for the shell.
@Suite("Commands that are shown can be typed")
struct HintTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private static func files(_ folder: String, _ ending: String) throws -> [URL] {
        let found = try #require(FileManager.default.enumerator(at: root.appendingPathComponent(folder), includingPropertiesForKeys: nil))
        return found.compactMap { $0 as? URL }.filter { $0.pathExtension == ending }.sorted { $0.path < $1.path }
    }

    @Test func literalsOfTheSources() throws {
        var count = 0
        for file in try Self.files("Sources", "swift") {
            for literal in SourceLiterals(try String(contentsOf: file, encoding: .utf8)).texts {
                for command in ShownCommand.all(in: literal) {
                    count += 1
                    #expect(command.complaint == nil, "\(file.lastPathComponent): \(command.text): \(command.complaint ?? "")")
                }
            }
        }
        // Fewer would be a walk that found nothing.
        #expect(count > 50, "\(count)")
    }

    @Test func spansOfTheDocuments() throws {
        let documents = ["README.md", "CHANGELOG.md", "Examples/README.md"].map(Self.root.appendingPathComponent)
        var count = 0
        for file in try documents + Self.files("Sources", "md") {
            let text = try String(contentsOf: file, encoding: .utf8)
            let spans = text.components(separatedBy: "`").enumerated().filter { !$0.offset.isMultiple(of: 2) }.map(\.element)
            let prompts = text.components(separatedBy: "\n").filter { $0.hasPrefix("$ qimesh ") }.map { String($0.dropFirst(2)) }
            for span in spans + prompts where span.hasPrefix("qimesh ") && !span.contains("\n") {
                let command = ShownCommand(span.components(separatedBy: " #")[0].trimmingCharacters(in: [" ", "&"]), isSpan: true)
                count += 1
                #expect(command.complaint == nil, "\(file.lastPathComponent): \(span): \(command.complaint ?? "")")
            }
        }
        #expect(count > 40, "\(count)")
    }

    @Test("the walk sees what is wrong", arguments: [
        ("try: qimesh frobnicate", true), ("qimesh ls --wait-onlin 5m", true), ("here: qimesh trust \u{FFFC}", true), ("qimesh call", true),
        ("qimesh call 'A.b::(s)' x", false), ("here: qimesh trust W; there: qimesh identity", false), ("see `qimesh gen` for it", false),
        ("see `qimesh gem`", true), ("qimesh revoke JID, with the address", false),
    ])
    func sees(_ literal: String, _ isWrong: Bool) {
        let commands = ShownCommand.all(in: literal)
        #expect(!commands.isEmpty && commands.contains { $0.complaint != nil } == isWrong)
    }
}

/// A command in a text.
private struct ShownCommand {
    let text: String
    /// Whether it stands in backticks, where the name of a verb alone is no command.
    let isSpan: Bool

    init(_ text: String, isSpan: Bool) {
        self.text = text.trimmingCharacters(in: [" ", ".", "?", "!", ","])
        self.isSpan = isSpan
    }

    /// Those that begin a text, a clause or a code span.
    static func all(in literal: String) -> [ShownCommand] {
        var commands: [ShownCommand] = []
        for match in literal.ranges(of: "qimesh ") {
            let before = literal[..<match.lowerBound]
            let isSpan = before.hasSuffix("`")
            guard before.isEmpty || isSpan || [": ", "; ", "(", "\n", "$ "].contains(where: { before.hasSuffix($0) }) else { continue }
            var end = match.upperBound
            var quote: Character?
            while end < literal.endIndex {
                let (character, rest) = (literal[end], literal[end...])
                if let open = quote {
                    if character == open { quote = nil }
                } else if character == "'" || character == "\"" {
                    quote = character
                } else if ";`)\n".contains(character) || rest.hasPrefix(", ") || rest.hasPrefix(" #") {
                    break
                }
                end = literal.index(after: end)
            }
            // A blank at the end: the next literal goes on with it.
            if end == literal.endIndex, literal.hasSuffix(" ") { continue }
            commands.append(ShownCommand(String(literal[match.lowerBound..<end]), isSpan: isSpan))
        }
        return commands.filter { !$0.text.hasPrefix("qimesh \u{FFFC}") }
    }

    /// What is wrong with it; nil when nothing is.
    var complaint: String? {
        if text.contains("\u{FFFC}") { return "a name in it is not quoted for the shell: \\(word: …)" }
        let words = Self.words(text).dropFirst().map { $0 == "VERB" ? "call" : $0 }
        if isSpan, Self.isVerb(words) { return nil }
        do {
            _ = try QiMeshCommand.parseAsRoot(NegativeNumbers.protected(words))
            return nil
        } catch {
            return QiMeshCommand.exitCode(for: error) == .success ? nil : QiMeshCommand.message(for: error)
        }
    }

    private static func isVerb(_ words: [String]) -> Bool {
        var command: any ParsableCommand.Type = QiMeshCommand.self
        for word in words {
            guard let next = command.configuration.subcommands.first(where: { $0.configuration.commandName == word }) else { return false }
            command = next
        }
        return true
    }

    private static func words(_ text: String) -> [String] {
        var words: [String] = []
        var word: String?
        var quote: Character?
        for character in text {
            if let open = quote {
                if character == open { quote = nil } else { word = (word ?? "") + String(character) }
            } else if character == "'" || character == "\"" {
                quote = character
                word = word ?? ""
            } else if character == " " {
                if let whole = word { words.append(whole) }
                word = nil
            } else {
                word = (word ?? "") + String(character)
            }
        }
        return words + (word.map { [$0] } ?? [])
    }
}

/// The string literals of a Swift source, with `W` for an interpolation that is quoted as a word of the shell and U+FFFC for any other.
private struct SourceLiterals {
    private(set) var texts: [String] = []
    private let source: [Character]
    private var position = 0

    init(_ source: String) {
        self.source = Array(source)
        skipCode(until: nil)
    }

    private func has(_ text: String) -> Bool { source[position...].starts(with: Array(text)) }

    /// Reads code up to a closing bracket, or the end.
    private mutating func skipCode(until closing: Character?) {
        while position < source.count {
            if source[position] == "/", has("//") {
                while position < source.count, source[position] != "\n" { position += 1 }
            } else if source[position] == "\"" {
                literal()
            } else if source[position] == "(" {
                position += 1
                skipCode(until: ")")
            } else if source[position] == closing {
                position += 1
                return
            } else {
                position += 1
            }
        }
    }

    private mutating func literal() {
        let isRaw = position > 0 && source[position - 1] == "#"
        let mark = has("\"\"\"") ? "\"\"\"" : "\""
        position += mark.count
        var text = ""
        let end = mark + (isRaw ? "#" : "")
        while position < source.count, source[position] != "\"" || !has(end) {
            if source[position] != "\\" || isRaw {
                text.append(source[position])
                position += 1
            } else if has("\\(") {
                position += 2
                text += ["word:", "ShellWord.quoted(", "PrivateFile.quoted(", "Self.quoted("].contains(where: has) ? "W" : "\u{FFFC}"
                skipCode(until: ")")
            } else if has("\\\n") {
                // The line goes on.
                position += 2
                while position < source.count, source[position] == " " { position += 1 }
            } else {
                text += has("\\n") ? "\n" : String(source[min(position + 1, source.count - 1)])
                position += 2
            }
        }
        position += mark.count
        texts.append(text)
    }
}
