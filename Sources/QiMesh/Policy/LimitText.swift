import QiMessaging

/// How rates are written in a policy file: `20/s`, `600/m`, `2kB/s`.
enum LimitText {
    private static let intervals: [String: Duration] = ["s": .seconds(1), "m": .seconds(60), "h": .seconds(3_600)]

    static func calls(_ text: String) -> PrincipalLimits.Rate? { rate(text) { Int($0) } }

    static func bytes(_ text: String) -> PrincipalLimits.Rate? { rate(text, Quantity.bytes) }

    private static func rate(_ text: String, _ amount: (String) -> Int?) -> PrincipalLimits.Rate? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, let interval = intervals[parts[1]], let count = amount(parts[0]), count > 0 else { return nil }
        return PrincipalLimits.Rate(count, per: interval)
    }
}
