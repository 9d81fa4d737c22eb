extension QRCode {
    /// Columns it takes in a terminal; half as many lines.
    var terminalWidth: Int { size + 2 * Self.border }

    /// Light modules around the code. ISO/IEC 18004 §5.3.8 wants four.
    private static let border = 4

    /// The code in block characters, two modules in each, one above the other.
    /// - Parameter colour: whether black and white are asked for by escape sequences. Otherwise light is drawn, in the terminal's own
    ///   foreground, and dark left out: right on dark terminals, and upside down in colour, which most readers take too, on light ones.
    func terminalLines(colour: Bool) -> [String] {
        stride(from: -Self.border, to: size + Self.border, by: 2).map { y in
            let line = (-Self.border..<(size + Self.border)).map { x in
                // Below the last line nothing is drawn: there the terminal's own ground follows.
                Self.character(upper: !isDark(x, y), lower: y + 1 < size + Self.border && !isDark(x, y + 1))
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
