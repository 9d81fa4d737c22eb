/// The policy of a program that writes its rules in Swift.
///
///     var policy = Policy()
///     policy.allow(.group("operators", ["op@lab.example"]), ["ALTextToSpeech.*", "*.get*"])
///     policy.deny(.everyone, ["ALMotion.*"])
///     print(policy.explain("op@lab.example", .call, "ALMotion.moveTo"))    // deny   rule 2 …
public typealias Policy = PermissionPolicy

extension PermissionPolicy {
    /// Adds a rule that allows all use of `targets`; for hosting services see `register`.
    ///
    /// - Parameters:
    ///   - register: the names of services that may be hosted.
    ///   - expires: when the rule ends, in seconds since 1970.
    public mutating func allow(
        _ who: Subject, _ targets: [TargetPattern], register: [TargetPattern] = [], limits: PrincipalLimits? = nil, expires: Int64? = nil
    ) {
        var rule = PermissionRule(who: [who])
        rule.allow = targets
        rule.register = register
        rule.limits = limits
        rule.expires = expires
        rules.append(rule)
    }

    /// Adds a rule that allows one kind of use of `targets`.
    public mutating func allow(_ who: Subject, _ access: Access, _ targets: [TargetPattern]) {
        var rule = PermissionRule(who: [who])
        rule.only[access] = targets
        rules.append(rule)
    }

    /// Adds a rule that denies everything with `targets`.
    public mutating func deny(_ who: Subject, _ targets: [TargetPattern]) {
        var rule = PermissionRule(who: [who])
        rule.deny = targets
        rules.append(rule)
    }

    /// What the policy says now, and why: printed, it is the line of `qimesh policy check`.
    ///
    /// - Parameter target: `Service.member`; for ``Access/register`` the name of a service.
    public func explain(_ principal: Principal, _ access: Access, _ target: String) -> Decision {
        guard access != .register, let dot = target.lastIndex(of: ".") else { return decide(principal, access, service: target) }
        return decide(principal, access, service: String(target[..<dot]), member: String(target[target.index(after: dot)...]))
    }
}

extension Subject: ExpressibleByStringLiteral {
    /// A JID written in a program, `op@lab.example` or `*@lab.example`.
    public init(stringLiteral text: String) {
        let parts = text.lowercased().split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else {
            preconditionFailure("\"\(text)\" is not of the form NAME@DOMAIN; for others write .zone(.lan), .user(\"nao\") …")
        }
        self = .device(local: NameGlob(String(parts[0])), domain: NameGlob(String(parts[1])))
    }
}

extension Principal: ExpressibleByStringLiteral {
    /// A device, by its bare JID, as it comes in through XMPP.
    public init(stringLiteral jid: String) { self.init(.device(jid.lowercased()), zone: .internet) }
}

extension NameGlob: ExpressibleByStringLiteral {
    public init(stringLiteral pattern: String) { self.init(pattern) }
}
