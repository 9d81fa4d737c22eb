/// Rows under headings, columns aligned. Without a width nothing is cut.
struct Table {
    /// One place of a row.
    struct Cell {
        var text: String
        var tint: Tint

        init(_ text: String, _ tint: Tint = .plain) {
            self.text = Printable.line(text)
            self.tint = tint
        }
    }

    private let headings: [String]
    private var rows: [[Cell]] = []

    init(_ headings: [String]) { self.headings = headings }

    /// Adds a row; what is missing is empty, an empty cell shows as a dash.
    mutating func add(_ cells: [Cell]) {
        rows.append((0..<headings.count).map { $0 < cells.count && !cells[$0].text.isEmpty ? cells[$0] : Cell("–", .faint) })
    }

    /// The lines, headings first.
    /// - Parameters:
    ///   - colour: whether cells are tinted.
    ///   - width: columns of the terminal; the last column is cut to fit. Nil cuts nothing.
    func lines(colour: Bool, width: Int? = nil) -> [String] {
        var widths = headings.map(\.count)
        for row in rows { for (column, cell) in row.enumerated() { widths[column] = max(widths[column], cell.text.count) } }
        if let width, let last = widths.indices.last {
            let before = widths.dropLast().reduce(0) { $0 + $1 + 2 }
            widths[last] = min(widths[last], max(8, width - before))
        }
        return [Self.line(headings.map { Cell($0) }, widths, colour)] + rows.map { Self.line($0, widths, colour) }
    }

    private static func line(_ row: [Cell], _ widths: [Int], _ colour: Bool) -> String {
        var line = ""
        for (column, cell) in row.enumerated() {
            let width = widths[column]
            let text = cell.text.count > width ? cell.text.prefix(width - 1) + "…" : cell.text
            line += colour ? cell.tint.apply(to: text) : text
            if column < row.count - 1 { line += String(repeating: " ", count: width - text.count + 2) }
        }
        return line
    }
}
