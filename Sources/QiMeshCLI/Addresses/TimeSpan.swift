import ArgumentParser

/// A time as typed: a number of seconds, or a number with `ms`, `s`, `m` or `h`.
struct TimeSpan: Hashable, ExpressibleByArgument {
    /// Above zero, at most 365 days.
    var duration: Duration

    private static let units: [(suffix: String, seconds: Double)] = [("ms", 0.001), ("s", 1), ("m", 60), ("h", 3_600), ("", 1)]

    init?(argument: String) {
        for unit in Self.units where argument.hasSuffix(unit.suffix) {
            let digits = argument.dropLast(unit.suffix.count)
            guard digits.utf8.count <= 16, digits.utf8.allSatisfy({ $0 == UInt8(ascii: ".") || (0x30...0x39).contains($0) }),
                let number = Double(String(digits)), number > 0, number * unit.seconds <= 365 * 86_400
            else { return nil }
            duration = .seconds(number * unit.seconds)
            return
        }
        return nil
    }

    init(_ duration: Duration) { self.duration = duration }
}
