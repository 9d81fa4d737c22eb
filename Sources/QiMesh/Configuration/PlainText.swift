import Foundation

/// Text files as people's editors leave them: with a byte order mark or without, with lines that end in CR LF or LF, with blank lines at
/// the end or no line end at all.
package enum PlainText {
    /// The text without a byte order mark, its lines ended by `\n` alone.
    /// - Parameters:
    ///   - path: for messages.
    ///   - code: what to throw.
    /// - Throws: `code` for bytes that are not UTF-8, with what they are where that shows.
    package static func decode(
        _ bytes: some Collection<UInt8>, _ path: String, code: MeshError.Code = .configuration
    ) throws(MeshError) -> String {
        let start = Array(bytes.prefix(2))
        // Windows editors call this "Unicode".
        if start == [0xFF, 0xFE] || start == [0xFE, 0xFF] {
            throw MeshError(code, "\(path) is UTF-16", hint: "save it as UTF-8")
        }
        guard let text = String(validating: withoutMark(bytes), as: UTF8.self) else { throw MeshError(code, "\(path) is not UTF-8") }
        // One Character: a CR of its own is left for whoever reads to judge.
        return text.contains("\r\n") ? text.replacing("\r\n", with: "\n") : text
    }

    /// The only line of a text, for what a file holds alone: blank lines after it, and blanks at its end, are an editor's.
    ///
    /// Nil when there is none, or another line follows.
    static func onlyLine(_ text: String) -> Substring? {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard let first = lines.first, !first.isEmpty, lines.dropFirst().allSatisfy({ $0.allSatisfy(\.isWhitespace) }) else { return nil }
        return first
    }

    private static func withoutMark<Bytes: Collection<UInt8>>(_ bytes: Bytes) -> Bytes.SubSequence {
        bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes.dropFirst(3) : bytes[...]
    }
}
