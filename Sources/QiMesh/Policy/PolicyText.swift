import Foundation
public import QiMessaging

/// Policies and decisions as the control interface tells them.
public enum PolicyText {
    package static func answer(_ decision: Decision) -> PolicyAnswer {
        PolicyAnswer(
            allowed: decision.isAllowed, rule: decision.rule, place: decision.place, who: decision.who, entry: decision.entry,
            reason: decision.reason, limit: decision.limits.map(limits), text: "\(decision)")
    }

    package static func listing(of policy: PermissionPolicy, path: String?) -> PolicyListing {
        PolicyListing(path: path, rules: rules(of: policy))
    }

    package static func rules(of policy: PermissionPolicy) -> [RuleRow] {
        policy.rules.map { rule in
            let lists = [("deny", rule.deny), ("allow", rule.allow)]
                + Access.allCases.compactMap { access in rule.only[access].map { (access.rawValue, $0) } }
            return RuleRow(
                who: rule.who.map(\.description).joined(separator: ", "),
                lists: lists.filter { !$0.1.isEmpty }.map { RuleList(key: $0, entries: $1.map(\.description)) },
                limit: rule.limits.map(limits), exclusive: rule.isExclusive, expires: rule.expires.map(date), line: rule.line)
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

/// The rules in force.
@QiStruct package struct PolicyListing: Hashable, Sendable {
    /// The file they come from.
    package var path: String?
    package var rules: [RuleRow]
}

/// A rule in words.
@QiStruct package struct RuleRow: Hashable, Sendable {
    package var who: String
    package var lists: [RuleList]
    package var limit: String?
    package var exclusive: Bool
    package var expires: String?
    /// Where it stands in its file.
    package var line: Int?
}

/// A list of a rule, such as `deny`.
@QiStruct package struct RuleList: Hashable, Sendable {
    package var key: String
    package var entries: [String]
}

/// What a policy says to a question.
@QiStruct package struct PolicyAnswer: Hashable, Sendable {
    package var allowed: Bool
    /// The rule that decided, counted from 1.
    package var rule: Int?
    package var place: String?
    package var who: String?
    package var entry: String?
    package var reason: String?
    package var limit: String?
    /// All of it in a line.
    package var text: String
}

/// A policy file that was read again.
@QiStruct package struct ReloadedPolicy: Hashable, Sendable {
    package var path: String
    package var rules: Int
    package var groups: Int
}
