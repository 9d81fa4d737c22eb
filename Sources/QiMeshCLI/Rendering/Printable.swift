/// Makes texts of others safe for a terminal: no device may move our cursor or rename our window.
enum Printable {
    /// One line: control characters as `\n`, `\t` or `\xNN`, and marks that reverse the direction of text as `\u{NNNN}`.
    static func line(_ text: String) -> String { escape(text, keeping: []) }

    /// The same with line ends and tabs kept.
    static func block(_ text: String) -> String { escape(text, keeping: ["\n", "\t"]) }

    private static func escape(_ text: String, keeping kept: Set<Unicode.Scalar>) -> String {
        guard text.unicodeScalars.contains(where: { isHarmful($0) && !kept.contains($0) }) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            if kept.contains(scalar) || !isHarmful(scalar) {
                result.unicodeScalars.append(scalar)
                continue
            }
            switch scalar {
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            default:
                let digits = String(scalar.value, radix: 16)
                result += scalar.value < 0x100 ? "\\x" + (digits.count < 2 ? "0" : "") + digits : "\\u{\(digits)}"
            }
        }
        return result
    }

    private static func isHarmful(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0: true
        // Line separators, and marks and embeddings of direction (Unicode UAX #9).
        case 0x2028, 0x2029, 0x200E, 0x200F, 0x202A...0x202E, 0x2066...0x2069: true
        default: false
        }
    }
}
