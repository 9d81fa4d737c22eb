import QiWire

/// Rows under headings, columns aligned. Into a pipe everything is written; a terminal gets what fits, and nothing that has to be typed is
/// cut.
struct Table {
    /// One place of a row.
    struct Cell {
        var text: String
        var tint: Tint

        /// Endpoints of a service with many take 2 kB.
        private static let textLimit = 4_096

        init(_ text: String, _ tint: Tint = .plain) {
            self.text = Printable.line(text, limit: Self.textLimit)
            self.tint = tint
        }
    }

    /// A heading, and what may be done to what is below it.
    struct Column: ExpressibleByStringLiteral {
        var heading: String
        var kind: Kind

        enum Kind {
            /// Names and addresses: never cut, for they have to be typed.
            case name
            /// Sentences, which may be cut to what is left of a line.
            case words
            /// Several names, or words that matter, with blanks between: they go on below each other.
            case list
        }

        init(_ heading: String, _ kind: Kind = .name) {
            self.heading = heading
            self.kind = kind
        }

        init(stringLiteral heading: String) { self.init(heading) }

        /// Of words at least so much is shown.
        static let fewest = 16
    }

    private let columns: [Column]
    private var rows: [[Cell]] = []

    init(_ columns: [Column]) { self.columns = columns }

    /// Adds a row; what is missing is empty, an empty cell shows as a dash.
    mutating func add(_ cells: [Cell]) {
        rows.append((0..<columns.count).map { $0 < cells.count && !cells[$0].text.isEmpty ? cells[$0] : Self.nothing })
    }

    private static let nothing = Cell("–", .faint)

    /// The lines, headings first.
    /// - Parameters:
    ///   - colour: whether cells are tinted.
    ///   - width: columns of the terminal, where columns that say nothing are left out, words are cut to fit, and rows that are still too
    ///     long go on in the next line. Nil does none of that.
    func lines(colour: Bool, width: Int? = nil) -> [String] {
        let silent = columns.indices.filter { column in rows.allSatisfy { $0[column].text == Self.nothing.text } }
        let shown = width == nil || silent.count == columns.count ? Array(columns.indices) : columns.indices.filter { !silent.contains($0) }
        var widths = shown.map { column in rows.map { $0[column].text.count }.reduce(columns[column].heading.count, max) }
        var breaks: Set<Int> = []
        if let width {
            narrow(shown, &widths, to: width)
            breaks = Self.breaks(widths, width)
        }
        let all = [columns.map { Cell($0.heading) }] + rows
        return all.flatMap { row in lines(shown.map { (row[$0], columns[$0].kind) }, widths, breaks, colour) }
    }

    /// Takes from the columns that can be narrower what is too much.
    private func narrow(_ shown: [Int], _ widths: inout [Int], to width: Int) {
        for (index, column) in shown.enumerated().reversed() where columns[column].kind != .name {
            let excess = widths.reduce(0, +) + 2 * (widths.count - 1) - width
            guard excess > 0 else { return }
            var fewest = Column.fewest
            if columns[column].kind == .list {
                for row in rows { for name in row[column].text.split(separator: " ") { fewest = max(fewest, name.count) } }
            }
            widths[index] = max(min(widths[index], fewest), widths[index] - excess)
        }
    }

    /// Before which columns a new line begins.
    private static func breaks(_ widths: [Int], _ width: Int) -> Set<Int> {
        var breaks: Set<Int> = []
        var used = 0
        for (column, size) in widths.enumerated() {
            if column > 0, used + 2 + size > width {
                breaks.insert(column)
                used = indentation + size
            } else {
                used += (column > 0 ? 2 : 0) + size
            }
        }
        return breaks
    }

    /// Of lines that go on with a row.
    private static let indentation = 4

    private func lines(
        _ row: [(cell: Cell, kind: Column.Kind)], _ widths: [Int], _ breaks: Set<Int>, _ colour: Bool
    ) -> [String] {
        var lines: [String] = []
        var (line, used) = ("", 0)
        for (column, (cell, kind)) in row.enumerated() {
            if breaks.contains(column) {
                lines.append(line)
                (line, used) = (String(repeating: " ", count: Self.indentation), Self.indentation)
            }
            let width = widths[column]
            var parts = kind == .list ? Self.wrapped(cell.text, width) : [Self.cut(cell.text, width)]
            let last = parts.removeLast()
            // Only a list has several, and what follows it begins below its end.
            for part in parts {
                lines.append(line + (colour ? cell.tint.apply(to: part) : part))
                line = String(repeating: " ", count: used)
            }
            line += colour ? cell.tint.apply(to: last) : last
            used += width + 2
            let isLast = column == row.count - 1 || breaks.contains(column + 1)
            if !isLast { line += String(repeating: " ", count: max(0, width - last.count) + 2) }
        }
        return lines + [line]
    }

    /// At most so many characters, and not more bytes than such a line takes: one character can have any number.
    private static func cut(_ text: String, _ width: Int) -> String {
        let bytes = 16 * width
        return text.count > width ? text.prefix(width - 1).cut(toBytes: bytes) + "…" : text.cut(toBytes: bytes)
    }

    /// The names of a list in as few lines as they fit into; at least one.
    private static func wrapped(_ text: String, _ width: Int) -> [String] {
        guard text.count > width else { return [text] }
        var lines: [String] = []
        for name in text.split(separator: " ") {
            if let last = lines.last, last.count + 1 + name.count <= width {
                lines[lines.count - 1] = last + " " + name
            } else {
                lines.append(String(name))
            }
        }
        return lines.isEmpty ? [text] : lines
    }
}
