@testable import QiMessaging
import QiWire
import Testing

/// Deciding, without any connection: each kind of rule, allowed and denied.
@Suite struct PermissionPolicyTests {
    struct Case: CustomTestStringConvertible, Sendable {
        let rules: [PermissionRule]
        let who: Principal
        let access: Access
        let target: String
        let isAllowed: Bool
        let rule: Int?

        init(_ rules: [PermissionRule], _ who: Principal, _ access: Access, _ target: String, _ isAllowed: Bool, _ rule: Int? = 1) {
            (self.rules, self.who, self.access, self.target, self.isAllowed, self.rule) = (rules, who, access, target, isAllowed, rule)
        }

        var testDescription: String { "\(who) \(access) \(target)" }

        var decision: Decision {
            let dot = target.lastIndex(of: ".") ?? target.endIndex
            return PermissionPolicy(rules: rules).decide(
                who, access, service: String(target[..<dot]), member: String(target[dot...].dropFirst()), at: 1_000)
        }
    }

    private static let op = Principal.jid("op@lab.example")
    private static let key = String(repeating: "a1", count: 32)

    private static let whoCases: [Case] = {
        func one(_ subject: Subject) -> [PermissionRule] { [.of(subject, allow: ["*"])] }
        let holder = Principal(.certificate(key), zone: .lan, fingerprint: key)
        let app = Principal(.app("choregraphe"), zone: .lan)
        let user = Principal(.user("nao"), zone: .lan)
        return [
            Case(one(.jid("op@lab.example")), op, .call, "A.b", true),
            Case(one(.jid("op@lab.example")), .jid("Op@Lab.Example"), .call, "A.b", true),
            Case(one(.jid("op@lab.example")), .jid("op@evil-lab.example"), .call, "A.b", false, nil),
            Case(one(.jid("op@lab.example")), .jid("op@lab.example/phone"), .call, "A.b", false, nil),
            Case(one(.jid("op@lab.example")), .jid("cop@lab.example"), .call, "A.b", false, nil),
            Case(one(.jid("*@lab.example")), op, .call, "A.b", true),
            Case(one(.jid("*@lab.example")), .jid("a@b@lab.example"), .call, "A.b", false, nil),
            Case(one(.jid("*@lab.example")), .jid("@lab.example"), .call, "A.b", false, nil),
            // A name that only looks like a JID is nobody's JID.
            Case(one(.jid("*@lab.example")), Principal(.user("op@lab.example"), zone: .internet), .call, "A.b", false, nil),
            Case(one(.group("ops", [.jid("x@y.z"), .jid("op@lab.example")])), op, .call, "A.b", true),
            Case(one(.group("ops", [.jid("x@y.z")])), op, .call, "A.b", false, nil),
            Case(one(.group("nobody", [])), op, .call, "A.b", false, nil),
            Case(one(.certificate(key)), holder, .call, "A.b", true),
            Case(one(.certificate(key)), Principal(.device("op@lab.example"), zone: .internet, fingerprint: key), .call, "A.b", true),
            Case(one(.certificate(key)), Principal(.certificate("b2"), zone: .lan), .call, "A.b", false, nil),
            Case(one(.certificate(key)), op, .call, "A.b", false, nil),
            Case(one(.app(NameGlob("choregraphe"))), app, .call, "A.b", true),
            Case(one(.app(NameGlob("choregraphe"))), Principal(.user("choregraphe"), zone: .lan), .call, "A.b", false, nil),
            Case(one(.app(NameGlob("choregraphe"))), Principal(.app("choregraphe2"), zone: .lan), .call, "A.b", false, nil),
            Case(one(.user(NameGlob("nao"))), user, .call, "A.b", true),
            Case(one(.user(NameGlob("nao"))), Principal(.app("nao"), zone: .lan), .call, "A.b", false, nil),
            Case(one(.host("10.0.0.7")), .stranger, .call, "A.b", true),
            Case(one(.host("10.0.0.8")), .stranger, .call, "A.b", false, nil),
            Case(one(.zone(.lan)), .stranger, .call, "A.b", true),
            Case(one(.zone(.internet)), .stranger, .call, "A.b", false, nil),
            Case(one(.zone(.internet)), op, .call, "A.b", true),
            Case(one(.everyone), .stranger, .call, "A.b", true),
            Case(one(.everyone), .process, .call, "A.b", true),
        ]
    }()

    private static let targetCases: [Case] = {
        func allow(_ patterns: TargetPattern...) -> [PermissionRule] { [.of(.everyone, allow: patterns)] }
        let who = op
        return [
            Case(allow("ALMotion.moveTo"), who, .call, "ALMotion.moveTo", true),
            Case(allow("ALMotion.moveTo"), who, .call, "ALMotion.moveToward", false, nil),
            Case(allow("ALMotion.moveTo"), who, .call, "ALMotion2.moveTo", false, nil),
            Case(allow("ALMotion.move*"), who, .call, "ALMotion.moveToward", true),
            Case(allow("ALMotion.*"), who, .call, "ALMotion.anything", true),
            Case(allow("ALMotion"), who, .call, "ALMotion.anything", true),
            Case(allow("ALMotion"), who, .call, "ALMotionX.anything", false, nil),
            Case(allow("*.get*"), who, .call, "ALMotion.getSummary", true),
            Case(allow("*.get*"), who, .call, "ALMotion.forget", false, nil),
            Case(allow("*.*et*e"), who, .call, "A.setVolume", true),
            Case(allow("*"), who, .call, "A.b", true),
            Case(allow("*"), who, .subscribe, "A.b", true),
            Case(allow("*"), who, .read, "A.b", true),
            Case(allow("*"), who, .write, "A.b", true),
            Case(allow("*"), who, .emit, "A.b", true),
            // Hosting is never part of using.
            Case(allow("*"), who, .register, "A", false, nil),
            // The last dot separates.
            Case(allow("my.Service.*"), who, .call, "my.Service.run", true),
            Case(allow("my.Service"), who, .call, "my.Service", true),
            // Case counts in names.
            Case(allow("ALMotion.*"), who, .call, "almotion.moveTo", false, nil),
        ]
    }()

    private static let accessCases: [Case] = {
        let only: [PermissionRule] = [
            .of(
                .everyone, deny: ["*.secret"],
                only: [
                    .call: ["A.run"], .subscribe: ["A.changed"], .read: ["A.speed"], .write: ["A.volume"], .emit: ["A.ping"],
                    .register: ["Vision*"],
                ])
        ]
        let who = op
        let hiding: [PermissionRule] = [.of(.zone(.internal), allow: ["*"]), .of(.everyone, deny: ["Secret.*"])]
        let allowed: [(Access, String)] = [
            (.call, "A.run"), (.subscribe, "A.changed"), (.read, "A.speed"), (.write, "A.volume"), (.emit, "A.ping"),
        ]
        let crossed = Access.allCases.filter { $0 != .register }.flatMap { access in
            allowed.map { Case(only, who, access, $0.1, $0.0 == access, $0.0 == access ? 1 : nil) }
        }
        return crossed + [
            Case(only, who, .register, "Vision1", true),
            Case(only, who, .register, "Vision", true),
            Case(only, who, .register, "ALMotion", false, nil),
            Case([.of(.everyone, deny: ["Vision2.*"], only: [.register: ["Vision*"]])], who, .register, "Vision2", false),
            Case([.of(.everyone, deny: ["*.secret"], only: [.register: ["Vision*"]])], who, .register, "Vision2", true),
            // The robot hosts what an earlier rule allows it whole, whatever a later one denies to everyone.
            Case(hiding, .process, .register, "Secret", true, 1),
            Case(hiding, .process, .call, "Secret.tell", true, 1),
            Case(hiding, who, .call, "Secret.tell", false, 2),
            Case(hiding, who, .register, "Secret", false, 2),
            Case([.of(.zone(.internal), allow: ["Secret.tell"]), .of(.everyone, deny: ["Secret.*"])], .process, .register, "Secret", false, 2),
            Case([.of(.everyone, deny: ["Secret.*"])], .process, .register, "Secret", false),
            // From outside using everything is still not hosting.
            Case([.of(.zone(.internet), allow: ["*"]), .of(.everyone, deny: ["Secret.*"])], who, .register, "Secret", false, 2),
            // Of the bus's own processes nothing is asked unless a rule lists it.
            Case([], .process, .register, "A", true, nil),
            Case([], .process, .call, "A.b", true, nil),
            Case([], .stranger, .call, "A.b", false, nil),
            Case([], op, .subscribe, "A.b", false, nil),
            Case([.of(.zone(.internal), deny: ["A.b"])], .process, .call, "A.b", false),
            Case([.of(.zone(.internal), deny: ["A.b"])], .process, .call, "A.c", true, nil),
        ]
    }()

    private static let orderCases: [Case] = [
        // Inside a rule deny is before allow.
        Case([.of(.everyone, allow: ["*"], deny: ["ALMotion.*"])], op, .call, "ALMotion.moveTo", false),
        Case([.of(.everyone, allow: ["*"], deny: ["ALMotion.*"])], op, .call, "ALMemory.getData", true),
        // The first rule that names the caller and lists the target decides.
        Case([.of(.jid("x@y.z"), deny: ["*"]), .of(.everyone, allow: ["*"])], op, .call, "A.b", true, 2),
        Case([.of(.everyone, allow: ["B.*"]), .of(.everyone, deny: ["A.*"]), .of(.everyone, allow: ["*"])], op, .call, "A.b", false, 2),
        Case([.of(.everyone, allow: ["A.b"]), .of(.everyone, deny: ["A.*"])], op, .call, "A.b", true, 1),
        Case([.of(.everyone, deny: ["A.b"]), .of(.everyone, allow: ["A.*"])], op, .call, "A.b", false, 1),
        // A list of another access lists nothing here.
        Case([.of(.everyone, only: [.read: ["A.*"]]), .of(.everyone, allow: ["A.*"])], op, .call, "A.b", true, 2),
    ]

    private static let expiryCases: [Case] = [
        Case([.of(.everyone, allow: ["*"], expires: 1_001)], op, .call, "A.b", true),
        Case([.of(.everyone, allow: ["*"], expires: 1_000)], op, .call, "A.b", false, nil),
        Case([.of(.everyone, deny: ["*"], expires: 999), .of(.everyone, allow: ["*"])], op, .call, "A.b", true, 2),
    ]

    private static let genericCases: [Case] = [
        // What tells of others has to be written out, from outside.
        Case([.of(.everyone, allow: ["*"])], op, .call, "A.stats", false, nil),
        Case([.of(.everyone, allow: ["A.*"])], op, .call, "A.enableTrace", false, nil),
        Case([.of(.everyone, allow: ["*"])], op, .subscribe, "A.traceObject", false, nil),
        Case([.of(.everyone, allow: ["*.enable*"])], op, .call, "A.enableTrace", false, nil),
        Case([.of(.everyone, allow: ["A.stats"])], op, .call, "A.stats", true),
        Case([.of(.everyone, allow: ["*.stats"])], op, .call, "A.stats", true),
        Case([.of(.everyone, allow: ["*"], deny: ["*.st*"])], op, .call, "A.stats", false),
        Case([.of(.everyone, allow: ["*"])], .process, .call, "A.stats", true),
        // Whoever may use anything may look it up, and nobody else.
        Case([.of(.everyone, allow: ["A.b"])], op, .call, "ServiceDirectory.service", true, nil),
        Case([.of(.everyone, allow: ["A.b"])], op, .subscribe, "ServiceDirectory.serviceAdded", true, nil),
        Case([.of(.jid("x@y.z"), allow: ["A.b"])], op, .call, "ServiceDirectory.services", false, nil),
        Case([.of(.everyone, allow: ["A.b"]), .of(.everyone, deny: ["*"])], op, .call, "ServiceDirectory.service", true, nil),
        Case([.of(.everyone, deny: ["ServiceDirectory.services"]), .of(.everyone, allow: ["A.b"])], op, .call, "ServiceDirectory.services", false),
        Case([.of(.everyone, allow: ["A.b"])], op, .call, "ServiceDirectory.registerService", false, nil),
        Case([.of(.everyone, only: [.register: ["V*"]])], op, .call, "ServiceDirectory.registerService", true, nil),
        // Without a policy file.
        Case(PermissionPolicy.contactsAllowed.rules, op, .call, "A.b", true),
        Case(PermissionPolicy.contactsAllowed.rules, op, .subscribe, "A.b", true),
        Case(PermissionPolicy.contactsAllowed.rules, op, .read, "A.b", true),
        Case(PermissionPolicy.contactsAllowed.rules, op, .write, "A.b", false, nil),
        Case(PermissionPolicy.contactsAllowed.rules, op, .emit, "A.b", false, nil),
        Case(PermissionPolicy.contactsAllowed.rules, op, .call, "A.stats", false, nil),
        Case(PermissionPolicy.contactsAllowed.rules, op, .call, "A.enableTrace", false, nil),
        Case(PermissionPolicy.contactsAllowed.rules, op, .subscribe, "A.traceObject", false, nil),
        Case(PermissionPolicy.contactsAllowed.rules, op, .register, "A", false, nil),
        Case(PermissionPolicy.contactsAllowed.rules, .stranger, .call, "A.b", false, nil),
        Case(PermissionPolicy.contactsAllowed.rules, Principal(.user("nao"), zone: .lan), .call, "A.b", false, nil),
        Case(PermissionPolicy.contactsAllowed.rules, .process, .register, "A", true, nil),
    ]

    @Test(arguments: whoCases + targetCases + accessCases + orderCases + expiryCases + genericCases)
    func decides(_ example: Case) {
        let decision = example.decision
        #expect(decision.isAllowed == example.isAllowed, "\(decision)")
        #expect(decision.rule == example.rule, "\(decision)")
    }

    @Test func aDecisionSaysWhichEntryOfWhichRuleAtWhichLine() {
        var rule = PermissionRule.of(.group("operators", [.jid("op@lab.example")]), allow: ["*"], deny: ["ALMotion.*"])
        rule.deny[0].line = 31
        let policy = PermissionPolicy(rules: [.of(.zone(.internal), allow: ["*"]), rule], file: "policy.yaml")
        let decision = policy.decide(Self.op, .call, service: "ALMotion", member: "moveTo")
        #expect("\(decision)" == "deny   rule 2 (policy.yaml:31)  who=group:operators  deny=[\"ALMotion.*\"]")
        #expect(
            decision.refusal(of: Self.op, .call, service: "ALMotion", member: "moveTo")
                == "denied: op@lab.example may not call ALMotion.moveTo (rule 2)")
        let other = policy.decide(.stranger, .subscribe, service: "ALMotion", member: "moved")
        #expect("\(other)" == "deny   no rule lists it (zone lan: denied)")
        #expect(
            other.refusal(of: .stranger, .subscribe, service: "ALMotion", member: "moved")
                == "denied: host:10.0.0.7 may not subscribe to ALMotion.moved (no rule allows it)")
    }

    // MARK: - Seeing

    @Test(arguments: [
        (["ALMotion.*"], [], "ALMotion", true), (["ALMotion.moveTo"], [], "ALMotion", true), (["*.get*"], [], "ALMotion", true),
        (["ALMotion.*"], [], "ALMemory", false), ([], ["*"], "ALMotion", false), (["*"], ["ALMotion.*"], "ALMotion", false),
        (["*"], ["ALMotion.*"], "ALMemory", true), (["*"], ["*.*"], "ALMemory", false),
        (["ALMotion.moveTo"], ["ALMotion.move*"], "ALMotion", false), (["ALMotion.moveTo"], ["ALMotion.stop*"], "ALMotion", true),
    ] as [([TargetPattern], [TargetPattern], String, Bool)])
    func aServiceIsSeenByWhoeverMayUseAnyOfIt(_ allow: [TargetPattern], _ deny: [TargetPattern], _ service: String, _ isSeen: Bool) {
        let policy = PermissionPolicy(rules: [.of(.jid("op@lab.example"), allow: allow, deny: deny)])
        #expect(policy.maySee(Self.op, service) == isSeen)
        #expect(!policy.maySee(.stranger, service))
    }

    @Test func whoIsDeniedEverythingFirstIsGrantedNothingByLaterRules() {
        func grants(_ rules: PermissionRule...) -> Bool { PermissionPolicy(rules: rules).grantsAnything(to: Self.op) }
        #expect(grants(.of(.everyone, allow: ["A.b"])))
        #expect(!grants(.of(.jid("x@y.z"), allow: ["A.b"])))
        #expect(!grants(.of(.jid("op@lab.example"), deny: ["*"]), .of(.everyone, allow: ["*"])))
        #expect(grants(.of(.everyone, allow: ["A.b"]), .of(.everyone, deny: ["*"])))
        #expect(grants(.of(.jid("op@lab.example"), deny: ["A.*"]), .of(.everyone, allow: ["*"])))
    }

    @Test(arguments: [
        (Principal.jid("op@lab.example"), [], "op@lab.example has no rule", "op@lab.example"),
        (.jid("op@lab.example"), [.of(.jid("op@lab.example"), deny: ["*"])], "op@lab.example may do nothing here (rule 1)", "op@lab.example"),
        // A name may hold what a shell would act on.
        (.jid("a$(id)@lab.example"), [], "a$(id)@lab.example has no rule", "'a$(id)@lab.example'"),
    ] as [(Principal, [PermissionRule], String, String)])
    func theRefusalOfEverythingSaysWhyAndWhatToTypeThere(_ who: Principal, _ rules: [PermissionRule], _ why: String, _ word: String) {
        #expect(
            PermissionPolicy(rules: rules).refusalOfEverything(to: who)
                == "denied: \(why); on that node: qimesh policy check \(word) ServiceDirectory.services call --zone internet")
    }

    @Test func withItsMembersKnownAServiceIsSeenExactly() {
        let policy = PermissionPolicy(rules: [.of(.everyone, allow: ["*.get*"])])
        var builder = MetaObjectBuilder()
        builder.addMethod("moveTo", parameters: "()", returns: "v")
        builder.addSignal("moved", "()")
        #expect(policy.maySee(Self.op, "ALMotion"))
        #expect(!policy.maySee(Self.op, "ALMotion", members: MemberNames(builder.build())))
        builder.addProperty("getters", "i")
        #expect(policy.maySee(Self.op, "ALMotion", members: MemberNames(builder.build())))
    }

    @Test func theBusIsLeftAloneUnlessARuleRestrictsIt() {
        func leaves(_ rules: PermissionRule...) -> Bool { PermissionPolicy(rules: rules).leavesAlone(.process) }
        #expect(leaves())
        #expect(leaves(.of(.zone(.internal), allow: ["*"]), .of(.jid("*@x.y"), deny: ["*"])))
        #expect(!leaves(.of(.zone(.internal), deny: ["A.b"])))
        #expect(leaves(.of(.zone(.internal), allow: ["*"]), .of(.everyone, deny: ["Secret.*"])))
        #expect(!leaves(.of(.zone(.internal), allow: ["A.*"]), .of(.everyone, deny: ["Secret.*"])))
        #expect(!leaves(.of(.everyone, deny: ["Secret.*"]), .of(.zone(.internal), allow: ["*"])))
        #expect(!leaves(.of(.everyone, allow: ["*"], limits: .calls(1))))
        #expect(!PermissionPolicy(rules: []).leavesAlone(.stranger))
        var audited = PermissionPolicy()
        audited.auditsAllCalls = true
        #expect(!audited.leavesAlone(.process))
    }
}
