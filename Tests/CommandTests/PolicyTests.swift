import Foundation
import QiMesh
import QiMessaging
import QiWire
import Testing

@testable import QiMeshCLI

@Suite("Policy and audit, as they are printed")
struct PolicyRenderingTests {
    private var rule: PermissionRule {
        var rule = PermissionRule(who: [.group("operators", [])], line: 6)
        rule.deny = ["ALMotion.*"]
        rule.allow = ["ALTextToSpeech.*", "*.get*"]
        rule.only = [.register: ["Vision*"]]
        rule.expires = 1_798_761_600
        rule.isExclusive = true
        var limits = PrincipalLimits()
        (limits.calls, limits.inband) = (.init(20), .init(2000))
        rule.limits = limits
        return rule
    }

    @Test("rules in a table")
    func show() {
        let lines = PolicyShow.table(PolicyText.rules(of: PermissionPolicy(rules: [rule]))).lines(colour: false)
        let lists = "deny=[\"ALMotion.*\"]  allow=[\"ALTextToSpeech.*\", \"*.get*\"]  register=[\"Vision*\"]"
        #expect(lines.count == 2 && lines[1].contains("  group:operators  \(lists)  "))
        #expect(lines[0].hasPrefix("RULE  LINE  WHO") && lines[1].hasSuffix("calls: 20/s, inband: 2000/s, exclusive  2027-01-01"))
    }

    @Test("a decision as one document")
    func check() {
        let policy = PermissionPolicy(rules: [rule], file: "policy.yaml")
        let denied = PolicyText.answer(
            policy.decide(Principal(.device("a@b.c"), zone: .internet), .call, service: "ALMotion", member: "moveTo"))
        #expect(
            PolicyCheck.json(denied).text
                == #"{"decision":"deny","rule":null,"place":null,"who":null,"entry":null,"limit":null,"reason":"no rule lists it (zone internet: denied)"}"#)
        var everyone = rule
        everyone.who = [.everyone]
        everyone.expires = nil
        let named = PolicyText.answer(
            PermissionPolicy(rules: [everyone], file: "policy.yaml").decide(
                Principal(.device("a@b.c"), zone: .internet), .call, service: "ALMotion", member: "moveTo"))
        #expect(
            PolicyCheck.json(named).text
                == #"{"decision":"deny","rule":1,"place":"policy.yaml:6","who":"everyone","entry":"deny=[\"ALMotion.*\"]","limit":"calls: 20/s, inband: 2000/s","reason":null}"#)
        #expect(named.text == "deny   rule 1 (policy.yaml:6)  who=everyone  deny=[\"ALMotion.*\"]")
    }

    private func line(_ target: String, _ who: String = "op@lab.example", allowed: Bool = false, at seconds: Double = 0) -> AuditLine {
        AuditLine(
            time: Date(timeIntervalSince1970: seconds),
            record: AuditRecord(
                event: allowed ? "call" : "denied", principal: who, zone: .lan, target: target, access: "call", isAllowed: allowed, rule: 3,
                path: "tls 10.0.0.7"))
    }

    @Test("audit records in a table and as a document")
    func audit() {
        let lines = Audit.table([line("ALMotion.moveTo\u{1B}")]).lines(colour: false)
        #expect(lines[0].hasPrefix("TIME") && lines[0].contains("WHO"))
        #expect(lines[1].contains("ALMotion.moveTo\\x1b") && lines[1].contains("deny") && lines[1].contains("tls 10.0.0.7"))
        #expect(
            Audit.json(line("A.b")).text
                == #"{"time":"1970-01-01T00:00:00.000Z","event":"denied","principal":"op@lab.example","zone":"lan","target":"A.b","access":"call","decision":"deny","rule":3,"path":"tls 10.0.0.7","detail":null,"count":1}"#)
    }

    @Test("filters of the audit")
    func filters() {
        let lines = [line("A.b"), line("B.c", "x@y.z", at: 100), line("A.d", allowed: true, at: 200)]
        func taken(_ filter: Audit.Filter) -> [String] { lines.filter(filter.takes).map(\.record.target) }
        #expect(taken(.init()) == ["A.b", "B.c", "A.d"])
        #expect(taken(.init(who: "*@y.z")) == ["B.c"])
        #expect(taken(.init(target: "A.*")) == ["A.b", "A.d"])
        #expect(taken(.init(event: "denied")) == ["A.b", "B.c"])
        #expect(taken(.init(since: Date(timeIntervalSince1970: 100))) == ["B.c", "A.d"])
        #expect(taken(.init(isDenied: true)) == ["A.b", "B.c"])
    }

    @Test("times of the audit")
    func times() throws {
        let now = Date(timeIntervalSince1970: 10_000)
        #expect(try Audit.time(nil, now: now) == nil)
        #expect(try Audit.time("10m", now: now) == Date(timeIntervalSince1970: 9_400))
        #expect(try Audit.time("1970-01-01T01:00:00Z", now: now) == Date(timeIntervalSince1970: 3_600))
        #expect(throws: CommandFailure.self) { try Audit.time("yesterday", now: now) }
    }
}
