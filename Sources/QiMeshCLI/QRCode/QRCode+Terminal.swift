extension QRCode {
    /// Light modules around the code, which readers need to find it.
    enum Border: Int, CaseIterable {
        /// What ISO/IEC 18004 §5.3.8 wants.
        case full = 4
        /// What readers of today make do with, on a terminal of few lines.
        case narrow = 2
    }

    /// Columns it takes in a terminal.
    func terminalWidth(_ border: Border = .full) -> Int { size + 2 * border.rawValue }

    /// Lines it takes: two modules stand in each character, one above the other.
    func terminalHeight(_ border: Border = .full) -> Int { (terminalWidth(border) + 1) / 2 }

    /// The widest border with which it fits into a terminal, its last line kept for what follows; nil when it fits with none.
    /// - Parameters:
    ///   - width: columns, nil when they do not matter.
    ///   - height: lines, nil when they do not matter.
    func border(width: Int?, height: Int?) -> Border? {
        Border.allCases.first { border in
            width.map { terminalWidth(border) <= $0 } ?? true && height.map { terminalHeight(border) < $0 } ?? true
        }
    }

    /// The code in block characters.
    /// - Parameter colour: whether black and white are asked for by escape sequences. Otherwise light is drawn, in the terminal's own
    ///   foreground, and dark left out: right on dark terminals, and upside down in colour, which most readers take too, on light ones.
    func terminalLines(colour: Bool, _ border: Border = .full) -> [String] {
        let border = border.rawValue
        return stride(from: -border, to: size + border, by: 2).map { y in
            let line = (-border..<(size + border)).map { x in
                // Below the last line nothing is drawn: there the terminal's own ground follows.
                Self.character(upper: !isDark(x, y), lower: y + 1 < size + border && !isDark(x, y + 1))
            }
            return colour ? "\u{1B}[38;5;231;48;5;16m" + String(line) + "\u{1B}[0m" : String(line)
        }
    }

    private static func character(upper: Bool, lower: Bool) -> Character {
        switch (upper, lower) {
        case (true, true): "█"
        case (true, false): "▀"
        case (false, true): "▄"
        case (false, false): " "
        }
    }
}
