/// What a policy says to one request, and why.
public struct Decision: Hashable, Sendable {
    public var isAllowed: Bool
    /// The rule that decided, counted from 1; nil when none did, and the zone's default holds.
    public var rule: Int?
    /// Where the entry that decided stands, `policy.yaml:31`; nil when the policy is of no file.
    public var place: String?
    /// Whom that rule names, as written: `group:operators`.
    public var who: String?
    /// The entry of the rule that lists the target: `deny=["ALMotion.*"]`.
    public var entry: String?
    /// In words, when no rule decided.
    public var reason: String?
    /// What is granted at most.
    public var limits: PrincipalLimits?
    /// The rule that says so, which is another one where none decided.
    var limitedBy: Int?

    public init(isAllowed: Bool, rule: Int? = nil, reason: String? = nil) {
        self.isAllowed = isAllowed
        self.rule = rule
        self.reason = reason
    }

    /// What a refused caller is told.
    public func refusal(of principal: Principal, _ access: Access, service: String, member: String) -> String {
        let target = member.isEmpty ? service : "\(service).\(member)"
        let why = rule.map { "rule \($0)" } ?? "no rule allows it"
        return "denied: \(principal) may not \(access.phrase) \(target) (\(why))"
    }
}

extension Decision: CustomStringConvertible {
    /// One line: `deny   rule 2 (policy.yaml:31)  who=group:operators  deny=["ALMotion.*"]`.
    public var description: String {
        var parts = [isAllowed ? "allow  " : "deny   "]
        if let rule { parts[0] += "rule \(rule)" + (place.map { " (\($0))" } ?? "") }
        if let who { parts.append("who=\(who)") }
        if let entry { parts.append(entry) }
        if let reason { rule == nil ? parts[0] += reason : parts.append(reason) }
        return parts.joined(separator: "  ")
    }
}
