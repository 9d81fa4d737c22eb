import SwiftSyntax

extension SyntaxProtocol {
    /// The text of the doc comment before a declaration, without its marks; empty without one.
    var documentation: String {
        var lines: [Substring] = []
        for piece in leadingTrivia {
            switch piece {
            case .docLineComment(let text): lines.append(text.dropFirst(3))
            case .docBlockComment(let text): lines = Self.lines(ofBlock: text)
            // A blank line, or an ordinary comment, parts what stands before it from the declaration.
            case .newlines(let count) where count > 1: lines = []
            case .lineComment, .blockComment: lines = []
            default: break
            }
        }
        let indentation = lines.filter { !$0.allSatisfy(\.isWhitespace) }.map { $0.prefix { $0 == " " }.count }.min() ?? 0
        return lines.map { String($0.dropFirst(indentation)) }.joined(separator: "\n").trimmingBlankEnds()
    }

    private static func lines(ofBlock text: String) -> [Substring] {
        text.dropFirst(3).dropLast(2).split(separator: "\n", omittingEmptySubsequences: false).map { line in
            let body = line.drop { $0 == " " || $0 == "\t" }
            return body.first == "*" ? body.dropFirst() : line
        }
    }
}

extension String {
    fileprivate func trimmingBlankEnds() -> String {
        let start = self.drop(while: \.isWhitespace)
        guard let end = start.lastIndex(where: { !$0.isWhitespace }) else { return "" }
        return String(start[...end])
    }

    /// The text as a Swift string literal.
    var literal: String {
        var literal = "\""
        for scalar in unicodeScalars {
            switch scalar {
            case "\"": literal += "\\\""
            case "\\": literal += "\\\\"
            case "\n": literal += "\\n"
            case "\r": literal += "\\r"
            case "\t": literal += "\\t"
            default: literal.unicodeScalars.append(scalar)
            }
        }
        return literal + "\""
    }
}
