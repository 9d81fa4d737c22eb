import Foundation
import QiMessaging
import Testing

@testable import QiMesh

@Suite struct PolicyFileTests {
    private func parse(_ text: String) throws -> PolicyFile { try PolicyFile.parse(text, path: "/etc/qimesh/policy.yaml") }

    /// The example of the reference "cli-and-config" §4, without the key that this version refuses.
    private static let example = """
        groups:
          operators: ["op@lab.example", "*@robots.example"]
        rules:
          - who: zone:internal
            allow: ["*"]
          - who: group:operators
            allow: ["ALTextToSpeech.*", "*.get*", "ALMemory.subscriber", "LogManager.*"]
            deny: ["ALMotion.*"]
            limit: { calls: 20/s, inband: 2kB/s }
          - who: app:choregraphe       # user name of a session id, see qimesh app
            allow: ["*"]
            exclusive: true
            expires: 2027-01-01
          - who: vision@cloud.example
            register: ["Vision*"]      # may host services here through the relay
        """

    @Test func readsTheExampleOfTheReference() throws {
        let file = try parse(Self.example)
        let policy = file.policy
        #expect(policy.file == "policy.yaml" && policy.rules.count == 4 && file.groupCount == 1)
        #expect(policy.rules[1].limits?.calls == .init(20) && policy.rules[1].limits?.inband == .init(2000))
        #expect(policy.rules[2].isExclusive && policy.rules[2].expires == 1_798_761_600)
        func ask(_ who: String, _ action: String, _ target: String, at time: Int64 = 1_700_000_000) throws -> String {
            "\(try PolicyQuestion(who: who, target: target, action: action).answer(by: policy, at: time))"
        }
        #expect(
            try ask("op@lab.example", "call", "ALMotion.moveTo")
                == "deny   rule 2 (policy.yaml:8)  who=group:operators  deny=[\"ALMotion.*\"]")
        #expect(
            try ask("nao3@robots.example", "read", "ALMotor.getSpeed")
                == "allow  rule 2 (policy.yaml:7)  who=group:operators  allow=[\"*.get*\"]")
        #expect(
            try ask("app:choregraphe", "call", "ALMotion.moveTo") == "allow  rule 3 (policy.yaml:11)  who=app:choregraphe  allow=[\"*\"]")
        #expect(try ask("app:choregraphe", "call", "ALMotion.moveTo", at: 1_798_761_600) == "deny   no rule lists it (zone lan: denied)")
        #expect(
            try ask("vision@cloud.example", "register", "Vision1")
                == "allow  rule 4 (policy.yaml:15)  who=vision@cloud.example  register=[\"Vision*\"]")
        #expect(try ask("vision@cloud.example", "register", "ALMotion").hasPrefix("deny"))
        #expect(try ask("zone:internal", "call", "ALMotion.moveTo").hasPrefix("allow  rule 1 (policy.yaml:5)"))
        #expect(try ask("mallory@evil.example", "call", "ALTextToSpeech.say") == "deny   no rule lists it (zone internet: denied)")
    }

    @Test func everyFormOfCallerAndEveryListIsRead() throws {
        let key = KeyFingerprint(subjectPublicKeyInfo: [1, 2, 3])
        let policy = try parse(
            """
            groups: { all: ["cert:\(key)", "app:a", "user:b*", "host:10.0.0.1", "domain:x.example"], none: [] }
            rules:
              - who: ["group:all", everyone, "zone:lan"]
                deny: ["A.b"]
                call: ["C.c"]
                subscribe: ["S.s"]
                read: ["R.r"]
                write: ["W.w"]
                emit: ["E.e"]
                register: ["N*"]
                limit: { calls: 600/m, inband: 1MB/h, payload: 64kB, in-flight: 3, subscriptions: 4, queue: 1MiB }
                expires: 2026-12-01T12:30:00Z
            audit: { calls: all, size: 1MB, files: 3 }
            """)
        let rule = policy.policy.rules[0]
        #expect(rule.who.map(\.description) == ["group:all", "everyone", "zone:lan"])
        #expect(
            rule.only.mapValues { $0.map(\.description) } == [
                .call: ["C.c"], .subscribe: ["S.s"], .read: ["R.r"], .write: ["W.w"], .emit: ["E.e"], .register: ["N*"],
            ])
        #expect(rule.expires == 1_796_128_200 && rule.line == 3)
        var limits = PrincipalLimits()
        (limits.calls, limits.inband) = (.init(600, per: .seconds(60)), .init(1_000_000, per: .seconds(3600)))
        (limits.payload, limits.callsInFlight, limits.subscriptions, limits.queue) = (64_000, 3, 4, 1 << 20)
        #expect(rule.limits == limits)
        #expect(policy.policy.auditsAllCalls && policy.audit.fileSize == 1_000_000 && policy.audit.fileCount == 3)
        guard case .group("all", let members) = rule.who[0] else {
            Issue.record("no group: \(rule.who)")
            return
        }
        #expect(
            members.map(\.description) == [
                "cert:\(key.hexadecimal)", "app:a", "user:b*", "host:10.0.0.1", "*@x.example",
            ])
    }

    @Test(arguments: ["", "# nothing\n", "~\n", "rules: []\n", "groups: {}\n"])
    func anEmptyFileLetsNobodyInFromOutside(_ text: String) throws {
        let policy = try parse(text).policy
        #expect(policy.rules.isEmpty)
        #expect(!policy.grantsAnything(to: Principal(.device("op@lab.example"), zone: .internet)))
    }

    @Test(arguments: [
        ("rules:\n  - who: everyone\n    alow: [\"*\"]", ":3: this version knows no key \"alow\" here; did you mean allow?"),
        ("rule:\n  - who: everyone", ":1: this version knows no key \"rule\" here; did you mean rules?"),
        ("rules:\n  - allow: [\"*\"]", ":2: rules[0]: \"who\" is missing"),
        ("rules:\n  - who: everyone", ":2: rules[0]: this rule lists nothing: add allow, deny, or a list for one kind of access"),
        ("rules:\n  - who: everyone\n    allow: \"*\"", ":3: rules[0].allow: expected a list, found \"*\""),
        ("rules:\n  - who: everyone\n    allow: [\"A.\"]", ":3: rules[0].allow[0]: \"A.\" is not of the form Service.member, with * for any name"),
        ("rules:\n  - who: everyone\n    allow:\n      - A.b\n      - .b", ":5: rules[0].allow[1]: \".b\" is not of the form"),
        ("rules:\n  - who: grup:ops\n    allow: [\"*\"]", ":2: \"grup:ops\" is no kind of caller; did you mean group:ops?"),
        ("groups: {operators: []}\nrules:\n  - who: group:operator\n    allow: [\"*\"]", ":3: there is no group \"operator\"; did you mean group:operators?"),
        ("rules:\n  - who:\n      - op@lab.example\n      - lab.example\n    allow: [\"*\"]", ":4: \"lab.example\" is no JID of the form NAME@DOMAIN; for everybody there write *@lab.example"),
        ("rules:\n  - who: zone:inside\n    allow: [\"*\"]", ":2: there is no zone \"inside\""),
        ("rules:\n  - who: cert:abc\n    allow: [\"*\"]", ":2: \"abc\" is no fingerprint; it looks like SHA256:…, as `qimesh identity` prints it"),
        ("groups:\n  a: [\"group:b\"]", ":2: groups.a[0]: a group cannot hold the group \"b\""),
        ("groups:\n  a: [\"x@y.z\"]\n  a: []", ":2: \"a\" is given twice"),
        ("rules:\n  - who: everyone\n    allow: [\"*\"]\n    limit: {calls: 20}", ":4: rules[0].limit.calls: \"20\" is no rate such as 20/s or 600/m"),
        ("rules:\n  - who: everyone\n    allow: [\"*\"]\n    limit: {call: 20/s}", ":4: this version knows no key \"call\" here; did you mean calls?"),
        ("rules:\n  - who: everyone\n    allow: [\"*\"]\n    expires: tomorrow", ":4: rules[0].expires: \"tomorrow\" is no date"),
        ("rules:\n  - who: everyone\n    allow: [\"*\"]\n    safety: {stale: 2s}", ":4: rules[0].safety: safety stops are not part of this version"),
        ("audit: {calls: some}", ":1: audit.calls: \"some\" is not one of all, denied"),
        ("rules: [", "this is not YAML"),
        ("- who", "expected a mapping"),
    ])
    func mistakesNameTheirLine(_ text: String, _ complaint: String) throws {
        let error = #expect(throws: MeshError.self) { try parse(text) }
        #expect(error?.code == .configuration)
        #expect(error?.message.contains(complaint) == true, "\(error?.message ?? "")")
        #expect(error?.message.hasPrefix("/etc/qimesh/policy.yaml") == true)
    }

    @Test func aFileThatOthersCanChangeOrThatIsTooLargeIsRefused() throws {
        try withTemporaryDirectory { folder in
            let path = folder + "/policy.yaml"
            try write("rules: []\n", to: path, mode: 0o644)
            #expect(try PolicyFile.load(path).policy.rules.isEmpty)
            try setPermissions(0o666, path)
            let open = #expect(throws: MeshError.self) { try PolicyFile.load(path) }
            #expect(open?.message.contains("can be changed by other users") == true && open?.hint?.contains("chmod") == true)
            try write(String(repeating: "# x\n", count: 300_000), to: path)
            let large = #expect(throws: MeshError.self) { try PolicyFile.load(path) }
            #expect(large?.message.contains("is larger than") == true)
            #expect(throws: MeshError.self) { try PolicyFile.load(folder + "/none.yaml") }
        }
    }

    // MARK: - Questions

    @Test(arguments: [
        ("op@lab.example", "A.b", "call", "op@lab.example"), ("OP@Lab.example", "A.b", "post", "op@lab.example"),
        ("user:nao", "A.b", "get", "user:nao"), ("host:10.0.0.1", "A.b", "watch", "host:10.0.0.1"), ("zone:internal", "A.b", "set", "process"),
    ])
    func questionsAreReadAsPeopleWriteThem(_ who: String, _ target: String, _ action: String, _ principal: String) throws {
        #expect("\(try PolicyQuestion(who: who, target: target, action: action).principal)" == principal)
    }

    @Test(arguments: [
        ("*@lab.example", "A.b", "call", ""), ("group:ops", "A.b", "call", ""), ("everyone", "A.b", "call", ""), ("op@lab.example", "A", "call", ""),
        ("op@lab.example", "A.", "call", ""), ("op@lab.example", ".b", "call", ""), ("op@lab.example", "A.b", "cal", ""),
        ("op@lab.example", "", "register", ""), ("op@lab.example", "A.b", "call", "outside"), ("", "A.b", "call", ""),
    ])
    func whatIsNoQuestionIsRefused(_ who: String, _ target: String, _ action: String, _ zone: String) throws {
        let error = #expect(throws: MeshError.self) { try PolicyQuestion(who: who, target: target, action: action, zone: zone) }
        #expect(error?.code == .usage)
    }

    // MARK: - Expectations

    @Test func aTableOfExpectationsIsComparedLineByLine() throws {
        let policy = try parse(Self.example).policy
        let table = try PolicyExpectations.parse(
            """
            - { who: op@lab.example, target: ALMotion.moveTo, expect: deny, rule: 2 }
            - { who: op@lab.example, target: ALTextToSpeech.say, action: call, expect: deny }
            - { who: "zone:lan", target: ALTextToSpeech.say, expect: deny, rule: 1 }
            - { who: "app:choregraphe", target: A.b, expect: deny, at: 2027-01-01 }
            """, path: "table.yaml")
        let complaints = table.expectations.map { expectation in
            let decision = expectation.question.answer(by: policy, at: expectation.time ?? 1_700_000_000)
            return expectation.complaint(about: decision.isAllowed, decision.rule)
        }
        #expect(complaints == [nil, "expected deny, got allow", "expected rule 1, got no rule", nil])
        #expect(table.expectations.map(\.line) == [1, 2, 3, 4])
    }

    @Test(arguments: [
        ("- { who: op@lab.example, expect: deny }", ":1: [0]: target is missing"),
        ("- { who: op@lab.example, target: A.b, expect: maybe }", ":1: [0].expect: \"maybe\" is not one of allow, deny"),
        ("- { who: op@lab.example, target: A.b, expect: deny }\n- { who: group:x, target: A.b, expect: deny }", ":2: [1]: "),
        ("- { who: op@lab.example, target: A.b, expects: deny }", "did you mean expect?"), ("", "expects nothing"), ("[]", "0 expectations"),
    ])
    func mistakesInATableNameTheirLine(_ text: String, _ complaint: String) {
        let error = #expect(throws: MeshError.self) { try PolicyExpectations.parse(text, path: "t.yaml") }
        #expect(error?.message.contains(complaint) == true, "\(error?.message ?? "")")
    }
}
