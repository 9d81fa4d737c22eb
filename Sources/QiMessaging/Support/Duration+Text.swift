extension Duration {
    /// As people write it: `10 s`, `2.5 s`, `250 ms`. `Duration.description` has up to eighteen decimals.
    package var text: String {
        let milliseconds = (components.seconds * 1_000) + (components.attoseconds + 500_000_000_000_000) / 1_000_000_000_000_000
        if milliseconds < 1_000 { return "\(milliseconds) ms" }
        let tenths = (milliseconds + 50) / 100
        return tenths.isMultiple(of: 10) ? "\(tenths / 10) s" : "\(tenths / 10).\(tenths % 10) s"
    }
}
