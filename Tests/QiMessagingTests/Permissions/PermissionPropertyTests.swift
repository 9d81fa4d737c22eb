@testable import QiMessaging
import Testing

/// What holds for every policy, tried on many that nobody thought of.
@Suite struct PermissionPropertyTests {
    /// Random, and the same in every run.
    private struct Generator: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            // splitmix64
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }

    private static let services = ["A", "AB", "B"]
    private static let members = ["get", "getAll", "set", "run"]
    private static let patterns: [TargetPattern] = ["*", "A.*", "A*.*", "B.get", "*.get*", "*.set", "AB.run", "B.*", "A.get"]
    private static let subjects: [Subject] = [
        .everyone, .zone(.lan), .zone(.internet), .zone(.internal), .jid("op@x.y"), .jid("*@x.y"), .jid("*@z.y"),
        .group("g", [.jid("op@x.y"), .host("10.0.0.7")]),
    ]
    private static let principals: [Principal] = [.jid("op@x.y"), .jid("me@x.y"), .jid("op@z.y"), .stranger, .process]

    private static func some(_ from: [TargetPattern], _ random: inout Generator) -> [TargetPattern] {
        (0..<Int.random(in: 0...3, using: &random)).compactMap { _ in from.randomElement(using: &random) }
    }

    private static func rule(_ random: inout Generator) -> PermissionRule {
        var rule = PermissionRule(who: [subjects.randomElement(using: &random) ?? .everyone])
        rule.allow = some(patterns, &random)
        rule.deny = some(patterns, &random)
        for access in Access.allCases where access != .register && Bool.random(using: &random) {
            rule.only[access] = some(patterns, &random)
        }
        return rule
    }

    private static func policies(_ count: Int, seed: UInt64) -> [PermissionPolicy] {
        var random = Generator(state: seed)
        return (0..<count).map { _ in PermissionPolicy(rules: (0..<Int.random(in: 0...5, using: &random)).map { _ in rule(&random) }) }
    }

    private static var questions: [(Principal, Access, String, String)] {
        principals.flatMap { who in
            [Access.call, .subscribe, .read, .write, .emit].flatMap { access in
                services.flatMap { service in members.map { (who, access, service, $0) } }
            }
        }
    }

    /// The documented order, written down once more and in another way: as an unrolled list of verdicts.
    private static func expected(_ policy: PermissionPolicy, _ who: Principal, _ access: Access, _ service: String, _ member: String) -> (Bool, Int?) {
        for (index, rule) in policy.rules.enumerated() {
            guard rule.who.contains(where: { $0.names(who) }) else { continue }
            let denied = rule.deny.contains { $0.service.matches(service) && $0.member.matches(member) }
            let allowed = (rule.allow + (rule.only[access] ?? [])).contains { $0.service.matches(service) && $0.member.matches(member) }
            if denied || allowed { return (!denied, index + 1) }
        }
        return (who.zone == .internal, nil)
    }

    @Test func theFirstRuleThatListsTheTargetDecidesAndDenyComesFirst() {
        for policy in Self.policies(300, seed: 1) {
            for (who, access, service, member) in Self.questions {
                let decision = policy.decide(who, access, service: service, member: member)
                let (isAllowed, rule) = Self.expected(policy, who, access, service, member)
                #expect(decision.isAllowed == isAllowed && decision.rule == rule, "\(who) \(access) \(service).\(member): \(policy.rules)")
            }
        }
    }

    @Test func whatIsAddedAtTheEndChangesNothingThatARuleDecided() {
        var random = Generator(state: 2)
        for policy in Self.policies(200, seed: 3) {
            var longer = policy
            longer.rules.append(Self.rule(&random))
            for (who, access, service, member) in Self.questions {
                let before = policy.decide(who, access, service: service, member: member)
                guard before.rule != nil else { continue }
                #expect(longer.decide(who, access, service: service, member: member) == before)
            }
        }
    }

    @Test func anEntryInDenyNeverAllowsMore() {
        var random = Generator(state: 4)
        for policy in Self.policies(200, seed: 5) where !policy.rules.isEmpty {
            var stricter = policy
            let index = Int.random(in: stricter.rules.indices, using: &random)
            stricter.rules[index].deny += Self.some(Self.patterns, &random)
            for (who, access, service, member) in Self.questions {
                let was = policy.decide(who, access, service: service, member: member).isAllowed
                let isNow = stricter.decide(who, access, service: service, member: member).isAllowed
                #expect(was || !isNow)
            }
        }
    }

    @Test func whoeverMayUseAMemberSeesTheService() {
        for policy in Self.policies(300, seed: 6) {
            for (who, access, service, member) in Self.questions
            where policy.decide(who, access, service: service, member: member).isAllowed {
                #expect(policy.maySee(who, service), "\(who) \(access) \(service).\(member): \(policy.rules)")
            }
        }
    }

    @Test func globsMatchAsTheirDefinitionSays() {
        var random = Generator(state: 7)
        func matches(_ pattern: Substring, _ text: Substring) -> Bool {
            guard let first = pattern.first else { return text.isEmpty }
            if first == "*" {
                return matches(pattern.dropFirst(), text) || (!text.isEmpty && matches(pattern, text.dropFirst()))
            }
            return text.first == first && matches(pattern.dropFirst(), text.dropFirst())
        }
        for _ in 0..<5000 {
            let pattern = String((0..<Int.random(in: 0...6, using: &random)).compactMap { _ in "ab*".randomElement(using: &random) })
            let text = String((0..<Int.random(in: 0...6, using: &random)).compactMap { _ in "ab".randomElement(using: &random) })
            #expect(NameGlob(pattern).matches(text) == matches(pattern[...], text[...]), "\(pattern) \(text)")
        }
    }

    @Test func aHostilePatternCostsNoMoreThanItsLengthTimesTheNames() {
        let glob = NameGlob(String(repeating: "a*", count: 200) + "b")
        #expect(!glob.matches(String(repeating: "a", count: 4000)))
    }
}
