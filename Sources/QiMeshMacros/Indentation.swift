extension Sequence<String> {
    /// One line each, or as many as it has, four spaces further in.
    var indented: String { joined(separator: "\n").indented }
}

extension String {
    /// Every line four spaces further in, empty ones excepted.
    var indented: String {
        split(separator: "\n", omittingEmptySubsequences: false).map { $0.isEmpty ? "" : "    " + $0 }.joined(separator: "\n")
    }

    /// Without blank lines after one another or before a closing brace.
    var withoutBlankRuns: String {
        var lines: [Substring] = []
        for line in split(separator: "\n", omittingEmptySubsequences: false) {
            let isBlank = line.allSatisfy(\.isWhitespace)
            let isClosing = line.drop(while: \.isWhitespace).first == "}"
            if (isBlank || isClosing), let last = lines.last, last.allSatisfy(\.isWhitespace) { lines.removeLast() }
            lines.append(isBlank ? "" : line)
        }
        return lines.joined(separator: "\n")
    }
}
