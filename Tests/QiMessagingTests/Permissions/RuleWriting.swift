@testable import QiMessaging

extension PermissionRule {
    /// A rule in one line.
    static func of(
        _ who: Subject..., allow: [TargetPattern] = [], deny: [TargetPattern] = [], only: [Access: [TargetPattern]] = [:],
        limits: PrincipalLimits? = nil, expires: Int64? = nil, exclusive: Bool = false
    ) -> PermissionRule {
        var rule = PermissionRule(who: who)
        rule.allow = allow
        rule.deny = deny
        rule.only = only
        rule.limits = limits
        rule.expires = expires
        rule.isExclusive = exclusive
        return rule
    }
}

extension Subject {
    static func jid(_ text: String) -> Subject {
        let parts = text.split(separator: "@")
        return .device(local: NameGlob(String(parts[0])), domain: NameGlob(String(parts[1])))
    }
}

extension Principal {
    static func jid(_ jid: String) -> Principal { Principal(.device(jid), zone: .internet) }
    static let process = Principal(.process(uid: 1000), zone: .internal)
    static let stranger = Principal(.host("10.0.0.7"), zone: .lan)
}

extension PrincipalLimits {
    static func calls(_ count: Int, per interval: Duration = .seconds(3600)) -> PrincipalLimits {
        var limits = PrincipalLimits()
        limits.calls = Rate(count, per: interval)
        return limits
    }
}
