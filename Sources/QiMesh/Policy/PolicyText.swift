import Foundation
public import QiMessaging
public import QiWire

/// Policies and decisions as the control interface tells them.
public enum PolicyText {
    public static func value(of decision: Decision) -> QiValue {
        .dictionary([
            ("allowed", .bool(decision.isAllowed)), ("rule", .int64(Int64(decision.rule ?? 0))), ("place", .string(decision.place ?? "")),
            ("who", .string(decision.who ?? "")), ("entry", .string(decision.entry ?? "")), ("reason", .string(decision.reason ?? "")),
            ("limit", .string(decision.limits.map(limits) ?? "")), ("text", .string("\(decision)")),
        ])
    }

    public static func rules(of policy: PermissionPolicy) -> [QiValue] {
        policy.rules.map { rule in
            let lists = [("deny", rule.deny), ("allow", rule.allow)]
                + Access.allCases.compactMap { access in rule.only[access].map { (access.rawValue, $0) } }
            return .dictionary([
                ("who", .string(rule.who.map(\.description).joined(separator: ", "))),
                (
                    "lists",
                    .list(
                        lists.filter { !$0.1.isEmpty }.map { key, patterns in
                            .dictionary([("key", .string(key)), ("entries", .list(patterns.map { .string($0.description) }))])
                        })
                ),
                ("limit", .string(rule.limits.map(limits) ?? "")), ("exclusive", .bool(rule.isExclusive)),
                ("expires", .string(rule.expires.map(date) ?? "")), ("line", .int64(Int64(rule.line ?? 0))),
            ])
        }
    }

    /// As in a policy file: `calls: 20/s, inband: 2000/s`.
    public static func limits(_ limits: PrincipalLimits) -> String {
        var parts: [String] = []
        if let rate = limits.calls { parts.append("calls: \(text(rate))") }
        for (way, rate) in limits.bytes.sorted(by: { $0.key < $1.key }) {
            parts.append("\(way == PathKind.inBand.name ? "inband" : way): \(text(rate))")
        }
        if let bytes = limits.payload { parts.append("payload: \(bytes)") }
        if let count = limits.callsInFlight { parts.append("in-flight: \(count)") }
        if let count = limits.subscriptions { parts.append("subscriptions: \(count)") }
        if let bytes = limits.queue { parts.append("queue: \(bytes)") }
        return parts.joined(separator: ", ")
    }

    static func text(_ rate: PrincipalLimits.Rate) -> String {
        let unit = [Duration.seconds(1): "s", .seconds(60): "m", .seconds(3_600): "h"][rate.interval] ?? "\(rate.interval)"
        return "\(rate.count)/\(unit)"
    }

    /// A day, or a day and a time where it is not the beginning of one.
    private static func date(_ seconds: Int64) -> String {
        let text = Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
        return text.hasSuffix("T00:00:00Z") ? String(text.prefix(10)) : text
    }
}
