/// Makes texts of others safe to show, on a terminal and in a pipe: what a peer says is text, and moves no cursor, makes no line,
/// turns no text round and hides nothing.
enum Printable {
    /// One line: control characters as `\n`, `\t` or `\xNN`; line separators, marks of direction and what cannot be seen as `\u{NNNN}`.
    ///
    /// - Parameter limit: the most bytes of the result before a mark that says how many bytes of the text were left out.
    static func line(_ text: String, limit: Int = .max) -> String { escape(text, keeping: [], limit) }

    /// The same with line ends and tabs kept.
    static func block(_ text: String) -> String { escape(text, keeping: ["\n", "\t"], .max) }

    /// Whether a character is layout or invisible: control characters, line separators, marks and embeddings of direction (Unicode UAX
    /// #9), zero-width and other default-ignorable characters (UAX #44), and blanks that are no spaces.
    static func isHidden(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.value < 0x7F { return scalar.value < 0x20 }
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate: return true
        // The empty Braille pattern.
        default: return scalar.properties.isDefaultIgnorableCodePoint || scalar.value == 0x2800
        }
    }

    /// Marks that one character may carry, as accents do: a hundred reach into the lines above and below.
    private static let marksLimit = 4

    private static func escape(_ text: String, keeping kept: Set<Unicode.Scalar>, _ limit: Int) -> String {
        if text.utf8.count <= limit, text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) { return text }
        var result = ""
        var seen = 0
        var marks = 0
        for scalar in text.unicodeScalars {
            marks = isMark(scalar) ? marks + 1 : 0
            let isShown = kept.contains(scalar) || !(isHidden(scalar) || marks > marksLimit)
            let shown = isShown ? String(Character(scalar)) : escaped(scalar)
            guard result.utf8.count + shown.utf8.count <= limit else {
                return result + "… (\(text.utf8.count - seen) bytes more)"
            }
            result.unicodeScalars.append(contentsOf: shown.unicodeScalars)
            seen += UTF8.width(scalar)
        }
        return result
    }

    private static func isMark(_ scalar: Unicode.Scalar) -> Bool {
        guard scalar.value >= 0x300 else { return false }
        return scalar.properties.generalCategory == .nonspacingMark || scalar.properties.generalCategory == .enclosingMark
    }

    private static func escaped(_ scalar: Unicode.Scalar) -> String {
        switch scalar {
        case "\n": return "\\n"
        case "\r": return "\\r"
        case "\t": return "\\t"
        default:
            let digits = String(scalar.value, radix: 16)
            return scalar.value < 0x100 ? "\\x" + (digits.count < 2 ? "0" : "") + digits : "\\u{\(digits)}"
        }
    }
}
