/// Sizes and times as people write them in the configuration: digits, then a unit, nothing else.
package enum Quantity {
    /// `512`, `50MB` (10⁶), `64MiB` (2²⁰); `nil` for anything else, and for what does not fit.
    package static func bytes(_ text: String) -> Int? {
        parse(
            text,
            units: [
                "": 1, "B": 1, "kB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
            ])
    }

    /// `250ms`, `30s`, `10m`, `1h`; `nil` for anything else, a bare number included, whose unit would be guessed.
    static func duration(_ text: String) -> Duration? {
        parse(text, units: ["ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000]).map { .milliseconds($0) }
    }

    private static func parse(_ text: String, units: [String: Int]) -> Int? {
        let digits = text.prefix { ("0"..."9").contains($0) }
        guard let number = Int(digits), let unit = units[String(text.dropFirst(digits.count))] else { return nil }
        let (product, overflow) = number.multipliedReportingOverflow(by: unit)
        return overflow ? nil : product
    }
}
