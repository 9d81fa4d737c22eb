@testable import QiMessaging
import QiWire
import Testing

/// What a service learns of its caller, and policies written in Swift.
@Suite(.timeLimit(.minutes(8))) struct CallerTests {
    private static var who: ObjectBuilder {
        var builder = ObjectBuilder()
        builder.advertiseMethod("who", "()", returns: "s") { _, _ in
            guard let caller = Caller.current else { return .string("nobody") }
            return .string(QiString("\(caller.principal) \(caller.zone) \(caller.jid?.domain ?? "-")"))
        }
        builder.advertiseMethod("home", "()") { _, _ in
            guard Caller.current?.jid?.domain == "lab.example" else { throw QiError.denied("home only") }
            return .void
        }
        return builder
    }

    @Test func aServiceKnowsItsCallerByTheConnection() async throws {
        #expect(Caller.current == nil)
        try await GuardedDirectory.with([.of(.zone(.lan), allow: ["*"])], ["Who": Self.who]) { directory in
            for (door, zone) in [(directory.outside, "lan"), (directory.inside, "internal")] {
                try await withClient(door) { client in
                    let object = ObjectAddress.main(ofService: try await client.lookUp("Who"))
                    let answer = try await client.call(ActionAddress(object, action: 100), id: 3)
                    #expect(try answer.value("s") == .string(QiString("host:127.0.0.1 \(zone) -")))
                    #expect(try await client.refusal(of: 101, on: object) == "denied: home only")
                }
            }
        }
    }

    @Test func aDeviceIsKnownByItsAddress() async throws {
        try await FarDevice.with(["Who": Self.who]) { _, endpoint, _ in
            try await withSession(endpoint) { session in
                let who = try await session.service("pepper/Who").call("who", arguments: [])
                #expect(who == .string("desk@test internet test"))
            }
        }
    }

    @Test func theAddressOfADeviceHasTwoParts() {
        let caller = Caller(principal: "op@lab.example", origin: .device(name: "op@lab.example"))
        #expect(caller.jid?.local == "op" && caller.jid?.domain == "lab.example" && caller.zone == .internet)
        #expect(caller.jid.map { "\($0)" } == "op@lab.example")
        #expect(Caller(principal: .stranger, origin: .tcp(host: "10.0.0.7")).jid == nil)
    }

    /// Example 6 of the reference "cli-and-config" §5.
    @Test func aPolicyIsWrittenInSwift() {
        var policy = Policy()
        policy.allow(.group("operators", ["op@lab.example"]), ["ALTextToSpeech.*", "*.get*"])
        policy.deny(.everyone, ["ALMotion.*"])
        policy.allow("vision@cloud.example", [], register: ["Vision*"])
        policy.allow(.user("nao"), .read, ["ALMemory.*"])
        #expect("\(policy.explain("op@lab.example", .call, "ALMotion.moveTo"))" == "deny   rule 2  who=everyone  deny=[\"ALMotion.*\"]")
        #expect(policy.explain("op@lab.example", .call, "ALTextToSpeech.say").rule == 1)
        #expect(policy.explain("vision@cloud.example", .register, "Vision1").isAllowed)
        #expect(policy.explain(Principal(.user("nao"), zone: .lan), .read, "ALMemory.battery").rule == 4)
        #expect(!policy.explain(Principal(.user("nao"), zone: .lan), .call, "ALMemory.battery").isAllowed)
    }
}
