/// The help of a verb. ArgumentParser fits all of it into the terminal but the line that begins with `USAGE:`.
enum HelpText {
    private static let mark = "USAGE: "

    /// The text with that line broken between options, and without blank lines at its end.
    static func wrapped(_ text: String, to columns: Int) -> String {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).flatMap { line in
            line.hasPrefix(mark) && line.count > columns ? broken(line, columns) : [String(line)]
        }
        while lines.last?.isEmpty == true { lines.removeLast() }
        return lines.joined(separator: "\n")
    }

    private static func broken(_ line: Substring, _ columns: Int) -> [String] {
        let indentation = String(repeating: " ", count: mark.count)
        var lines: [String] = []
        var current = ""
        for option in options(line) {
            if !current.isEmpty, current.count + 1 + option.count > columns {
                lines.append(current)
                current = indentation + option
            } else {
                current += (current.isEmpty ? "" : " ") + option
            }
        }
        return lines + [current]
    }

    /// The words, where what stands in one pair of brackets is one.
    private static func options(_ line: Substring) -> [String] {
        var options: [String] = []
        var depth = 0
        for word in line.split(separator: " ") {
            if depth > 0 { options[options.count - 1] += " " + word } else { options.append(String(word)) }
            depth += word.filter { $0 == "[" }.count - word.filter { $0 == "]" }.count
        }
        return options
    }
}
