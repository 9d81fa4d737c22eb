/// Who may do what: rules in order. A value; deciding has no effects.
///
/// The first rule that names the caller and lists the target decides; inside a rule `deny` is read before what allows. Where no rule
/// does, the robot's own bus (``Zone/internal``) is allowed and everybody else is denied.
///
/// Two things follow from others and need no entry of their own. Members that every client needs to use a service at all (generic
/// members 0 to 8, wire reference §9) go with the service's visibility; those of `ServiceDirectory` that look up and list go with
/// having been granted anything. Statistics and traces (80 to 86) are the opposite: from outside an entry counts for them only when it
/// writes the member out, `ALMotion.stats`.
public struct PermissionPolicy: Sendable {
    public var rules: [PermissionRule]
    /// The name of its file, for places; nil when there is none.
    public var file: String?
    /// Whether allowed calls are audited too.
    public var auditsAllCalls = false

    public init(rules: [PermissionRule] = [], file: String? = nil) {
        self.rules = rules
        self.file = file
    }

    /// What holds without a policy file: a contact with a pinned key may call, subscribe to and read all services. It may not write
    /// properties, raise a service's signals, host services, or see statistics and traces, which show what others do.
    public static let contactsAllowed: PermissionPolicy = {
        var rule = PermissionRule(who: [.device(local: NameGlob("*"), domain: NameGlob("*"))])
        rule.only = [.call: ["*"], .subscribe: ["*"], .read: ["*"]]
        return PermissionPolicy(rules: [rule])
    }()

    // MARK: - Deciding

    /// Decides one request.
    ///
    /// - Parameters:
    ///   - member: the name of a method, signal or property, without signature; not looked at for ``Access/register``.
    ///   - now: seconds since 1970.
    public func decide(
        _ principal: Principal, _ access: Access, service: String, member: String = "", at now: Int64 = WallClock.seconds
    ) -> Decision {
        for (index, rule) in rules.enumerated() where rule.names(principal, at: now) {
            if let pattern = rule.deny.first(where: { isDenied($0, access, service, member) }) {
                return decision(false, index, "deny", pattern)
            }
            for (key, patterns) in rule.lists(for: access) {
                if let pattern = patterns.first(where: { isListed($0, access, service, member, principal.zone) }) {
                    return decision(true, index, key, pattern)
                }
            }
            if access == .register, !principal.zone.isOutside, let pattern = rule.allow.first(where: { $0.coversAll(of: service) }) {
                return decision(true, index, "allow", pattern)
            }
        }
        return unlisted(principal, access, service, member, now)
    }

    private func isDenied(_ pattern: TargetPattern, _ access: Access, _ service: String, _ member: String) -> Bool {
        if access == .register { return pattern.name.matches(service) || pattern.coversAll(of: service) }
        // "Everything else" does not mean the look-ups that what was granted before needs.
        if service == "ServiceDirectory", pattern.isEverything,
            GenericMembers.lookingUp.contains(member) || GenericMembers.registering.contains(member)
        {
            return false
        }
        return pattern.covers(service, member)
    }

    private func isListed(_ pattern: TargetPattern, _ access: Access, _ service: String, _ member: String, _ zone: Zone) -> Bool {
        if access == .register { return pattern.name.matches(service) }
        if zone.isOutside, GenericMembers.diagnostics.contains(member), !pattern.member.isLiteral { return false }
        return pattern.covers(service, member)
    }

    private func decision(_ isAllowed: Bool, _ index: Int, _ key: String, _ pattern: TargetPattern) -> Decision {
        let rule = rules[index]
        var decision = Decision(isAllowed: isAllowed, rule: index + 1)
        if let line = pattern.line ?? rule.line, let file { decision.place = "\(file):\(line)" }
        decision.who = rule.whoText
        decision.entry = "\(key)=[\"\(pattern)\"]"
        decision.limits = rule.limits
        decision.limitedBy = index + 1
        return decision
    }

    private func unlisted(
        _ principal: Principal, _ access: Access, _ service: String, _ member: String, _ now: Int64
    ) -> Decision {
        guard principal.zone.isOutside else { return Decision(isAllowed: true, reason: "no rule lists it (zone internal: allowed)") }
        if service == "ServiceDirectory", access != .register {
            if GenericMembers.lookingUp.contains(member), grantsAnything(to: principal, at: now) {
                return implied(principal, "needed to use what it may use", now)
            }
            if GenericMembers.registering.contains(member), mayRegisterAnything(principal, at: now) {
                return implied(principal, "needed to register what it may register", now)
            }
        }
        return Decision(isAllowed: false, reason: "no rule lists it (zone \(principal.zone): denied)")
    }

    /// What follows from being let in at all: allowed within the limits of the first rule that has some for the principal.
    func implied(_ principal: Principal, _ reason: String, _ now: Int64) -> Decision {
        var decision = Decision(isAllowed: true, reason: reason)
        if let index = rules.firstIndex(where: { $0.limits != nil && $0.names(principal, at: now) }) {
            decision.limits = rules[index].limits
            decision.limitedBy = index + 1
        }
        return decision
    }

    /// As a POSIX shell takes it for one word: a name may hold what a shell would act on.
    private static func quoted(_ word: String) -> String {
        let isPlain = word.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
            default: "@._:-".utf8.contains(byte)
            }
        }
        return isPlain ? word : "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }

    // MARK: - Seeing

    /// Whether the principal may know that there is such a service: when it may do anything with it.
    ///
    /// - Parameter members: the names of its members where they are known; without them, whether a service of that name could have a
    ///   member that is allowed.
    public func maySee(
        _ principal: Principal, _ service: String, members: MemberNames? = nil, at now: Int64 = WallClock.seconds
    ) -> Bool {
        if service == "ServiceDirectory" { return !principal.zone.isOutside || grantsAnything(to: principal, at: now) }
        if let members {
            return members.contains { decide(principal, $0, service: service, member: $1, at: now).isAllowed }
        }
        for rule in rules where rule.names(principal, at: now) {
            if rule.deny.contains(where: { $0.coversAll(of: service) }) { return false }
            for access in Access.allCases where access != .register {
                for pattern in rule.lists(for: access).flatMap(\.patterns) where pattern.service.matches(service) {
                    // One member: another entry may deny it. Several: some are left, or so it has to be taken.
                    guard pattern.member.isLiteral else { return true }
                    if decide(principal, access, service: service, member: pattern.member.description, at: now).isAllowed { return true }
                }
            }
        }
        return !principal.zone.isOutside
    }

    /// Whether any rule gives the principal anything.
    public func grantsAnything(to principal: Principal, at now: Int64 = WallClock.seconds) -> Bool {
        granting(principal, at: now).contains { !$0.allow.isEmpty || !$0.only.isEmpty }
    }

    /// Whether the principal may host some service.
    public func mayRegisterAnything(_ principal: Principal, at now: Int64 = WallClock.seconds) -> Bool {
        granting(principal, at: now).contains { !$0.register.isEmpty }
    }

    /// The rules that can give the principal something: those before the first that denies it everything.
    private func granting(_ principal: Principal, at now: Int64) -> some Sequence<PermissionRule> {
        rules.lazy.filter { $0.names(principal, at: now) }.prefix { !$0.deniesEverything }
    }

    /// Whether any rule names the holder of a key, so that only a key that was shown tells what its holder may do.
    public var namesKeys: Bool { rules.contains { $0.who.contains(where: \.isKey) } }

    /// What is said to a principal that may do nothing at all, whatever it asks for.
    public func refusalOfEverything(to principal: Principal, at now: Int64 = WallClock.seconds) -> String {
        let denying = rules.firstIndex { $0.deniesEverything && $0.names(principal, at: now) }
        let why = denying.map { "may do nothing here (rule \($0 + 1))" } ?? "has no rule"
        return "denied: \(principal) \(why); on that node: qimesh policy check \(Self.quoted("\(principal)")) "
            + "ServiceDirectory.services call --zone \(principal.zone)"
    }

    /// Whether nothing has to be asked for this principal: it is of the robot's own bus and no rule denies or limits it anything.
    public func leavesAlone(_ principal: Principal, at now: Int64 = WallClock.seconds) -> Bool {
        guard !principal.zone.isOutside, !auditsAllCalls else { return false }
        var isAllowedEverything = false
        for rule in rules where rule.names(principal, at: now) {
            guard rule.limits == nil, !rule.isExclusive, rule.deny.isEmpty || isAllowedEverything else { return false }
            // No later rule can deny it anything.
            if rule.allow.contains(where: \.isEverything) { isAllowedEverything = true }
        }
        return true
    }

    /// Whether the principal may have one connection at a time only.
    public func isExclusive(_ principal: Principal, at now: Int64 = WallClock.seconds) -> Bool {
        rules.contains { $0.isExclusive && $0.names(principal, at: now) }
    }

    /// The next time at which a rule ends, in seconds since 1970; nil when none will.
    public func nextExpiry(after now: Int64) -> Int64? { rules.compactMap(\.expires).filter { $0 > now }.min() }
}

extension PermissionRule {
    fileprivate var deniesEverything: Bool { deny.contains(where: \.isEverything) }

    /// What it allows of one kind of access, with the keys the lists stand under.
    func lists(for access: Access) -> [(key: String, patterns: [TargetPattern])] {
        var lists: [(key: String, patterns: [TargetPattern])] = []
        if access != .register, !allow.isEmpty { lists.append(("allow", allow)) }
        if let own = only[access] { lists.append((access.rawValue, own)) }
        return lists
    }
}
