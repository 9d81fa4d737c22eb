import QiMessaging
import Testing

@testable import QiMesh

@Suite struct AppManifestTests {
    static let good = """
        name: choregraphe
        description: Builds behaviours on a desk
        permissions:
          - allow: ["ALTextToSpeech.*", "ALMemory.subscriber"]
            deny: ["ALTextToSpeech.stopAll"]
            limit: { calls: 20/s }
          - register: ["Choregraphe*"]
            expires: 2027-01-01
        """

    @Test func isWhatItSays() throws {
        let manifest = try AppManifest(Self.good)
        #expect(manifest.name == "choregraphe")
        #expect(manifest.description == "Builds behaviours on a desk")
        #expect(manifest.rules.count == 2)
        #expect(manifest.rules.allSatisfy { $0.who == [.app(NameGlob("choregraphe"))] })
        #expect(manifest.rules[0].limits?.calls == PrincipalLimits.Rate(20))
    }

    /// The application, nobody else, and nothing else.
    @Test(arguments: [
        ("choregraphe", Access.call, "ALTextToSpeech", "say", true), ("choregraphe", .call, "ALTextToSpeech", "stopAll", false),
        ("choregraphe", .call, "ALMotion", "moveTo", false), ("choregraphe", .subscribe, "ALMemory", "subscriber", true),
        ("choregraphe", .register, "ChoregrapheBox", "", true), ("choregraphe", .register, "ALMotion", "", false),
        ("choregraph", .call, "ALTextToSpeech", "say", false), ("choregraphe2", .call, "ALTextToSpeech", "say", false),
    ])
    func grants(_ app: String, _ access: Access, _ service: String, _ member: String, _ isAllowed: Bool) throws {
        let policy = PermissionPolicy(rules: try AppManifest(Self.good).rules)
        let principal = Principal(.app(app), zone: .lan)
        #expect(policy.decide(principal, access, service: service, member: member, at: 1_800_000_000 - 5_000_000).isAllowed == isAllowed)
        #expect(!policy.decide(Principal(.user(app), zone: .lan), access, service: service, member: member).isAllowed)
    }

    @Test func whatExpiresEnds() throws {
        let policy = PermissionPolicy(rules: try AppManifest(Self.good).rules)
        let principal = Principal(.app("choregraphe"), zone: .internet)
        // 2027-01-01 is 1 798 761 600.
        #expect(policy.decide(principal, .register, service: "ChoregrapheBox", at: 1_798_761_599).isAllowed)
        #expect(!policy.decide(principal, .register, service: "ChoregrapheBox", at: 1_798_761_600).isAllowed)
    }

    @Test(arguments: [
        ("", "is empty"), ("# nothing", "is empty"), ("name: [", ":2: this is not YAML"), ("permissions: []", "needs a name"),
        ("name: a b\npermissions: [{allow: [\"*\"]}]", ":1: name: \"a b\" is not made of letters"),
        ("name: x", "1 to 64 permissions"), ("name: x\npermissions: []", "1 to 64 permissions"),
        ("name: x\npermissions:\n  - allow: [\"*\"]\n    who: everyone", ":4: permissions are the application's own"),
        ("name: x\npermissions:\n  - alow: [\"*\"]", "did you mean allow?"),
        ("name: x\nrules:\n  - allow: [\"*\"]", "what it wants is listed as permissions"),
        ("name: x\npermissions:\n  - limit: { calls: 5/s }", "this rule lists nothing"),
        ("name: x\npermissions:\n  - allow: [\".say\"]", ":3: "),
        ("name: x\npermissions: {allow: [\"*\"]}", "expected"),
    ])
    func mistakesAreNamedWithTheirPlace(_ text: String, _ complaint: String) {
        let error = #expect(throws: MeshError.self) { _ = try AppManifest(text, path: "app.yaml") }
        #expect(error?.code == .configuration)
        #expect(error?.message.contains("app.yaml") == true)
        #expect(error?.message.contains(complaint) == true, "\(error?.message ?? "")")
    }

    @Test func sizeIsBounded() {
        let many = "name: x\npermissions:\n" + String(repeating: "  - allow: [\"*\"]\n", count: 65)
        #expect(throws: MeshError.self) { _ = try AppManifest(many) }
        #expect(throws: MeshError.self) { _ = try AppManifest(Self.good + String(repeating: "# ", count: 40_000)) }
    }
}
