import NIOCore
@testable import QiMessaging
import QiWire
import Testing

/// What rules grant at most, and hosting from outside.
@Suite(.timeLimit(.minutes(8))) struct PrincipalLimitTests {
    private static let lan = Subject.zone(.lan)

    @Test func aRateIsCountedOverAllConnectionsOfAPrincipal() async throws {
        let rule = PermissionRule.of(Self.lan, allow: ["*"], limits: .calls(3))
        try await GuardedDirectory.with([rule], ["Arm": Arm().object]) { directory in
            try await withClient(directory.outside) { one in
                try await withClient(directory.outside) { two in
                    // Looking up is listed by `*` too, and counts.
                    let object = ObjectAddress.main(ofService: try await one.lookUp("Arm"))
                    _ = try await two.lookUp("Arm")
                    #expect(try await one.refusal(of: Arm.getAngle, on: object) == nil)
                    for client in [one, two] {
                        let refusal = try await client.refusal(of: Arm.getAngle, on: object)
                        #expect(
                            refusal?.hasPrefix("limit: host:127.0.0.1: 3 calls per hour are allowed: try again in ") == true,
                            "\(refusal ?? "allowed")")
                        #expect(refusal?.hasSuffix(" s (rule 1)") == true)
                    }
                }
            }
            try await withClient(directory.inside) { client in
                let object = ObjectAddress.main(ofService: try await client.lookUp("Arm"))
                for _ in 0..<10 { #expect(try await client.refusal(of: Arm.getAngle, on: object) == nil) }
            }
            #expect(directory.audit.all.contains { $0.event == "limited" && $0.target == "Arm.getAngle" && $0.rule == 1 })
        }
    }

    @Test func refusalsAreCountedForEachPrincipal() {
        let control = AccessControl(PermissionPolicy())
        let now = NIODeadline.now()
        for _ in 0..<AccessControl.refusals.count { #expect(control.refused(.stranger, at: now) == nil) }
        #expect(control.refused(.stranger, at: now) == .milliseconds(50))
        #expect(control.refused(.jid("nao@robots.example"), at: now) == nil)
    }

    @Test func whoGuessesOnIsReadSlowlyAndAnsweredAll() async throws {
        try await GuardedDirectory.with([.of(Self.lan, allow: ["Arm.*"])], ["Arm": Arm().object]) { directory in
            try await withClient(directory.outside) { guesser in
                var guesses = ByteBuffer()
                let count = UInt32(AccessControl.refusals.count + 22)
                let start = ContinuousClock.now
                for id in 1...count { guesses.writeMessage(try .call(ActionAddress(service: 500 + id, object: 1, action: 100), id: id)) }
                try await guesser.send(guesses)
                // Others are not kept waiting.
                try await withClient(directory.inside) { try await $0.expectAlive() }
                for id in 1...count {
                    let answer = try #require(await guesser.next())
                    #expect(answer.id == id && answer.errorText == "The call request could not be handled.")
                }
                // Twenty a second beyond the first hundred: a slow machine only takes longer.
                #expect(ContinuousClock.now - start > .milliseconds(900))
                // What it may have it gets, after all.
                let object = ObjectAddress.main(ofService: try await guesser.lookUp("Arm"))
                #expect(try await guesser.refusal(of: Arm.getAngle, on: object) == nil)
            }
        }
    }

    @Test func subscriptionsAreCountedWhileTheyLast() async throws {
        var limits = PrincipalLimits()
        limits.subscriptions = 1
        try await GuardedDirectory.with([.of(Self.lan, allow: ["Arm.*"], limits: limits)], ["Arm": Arm().object]) { directory in
            try await withClient(directory.outside) { client in
                let object = ObjectAddress.main(ofService: try await client.lookUp("Arm"))
                func subscribe(_ link: UInt64) async throws -> String? {
                    try await client.refusal(
                        of: WellKnownActions.registerEvent, on: object, [.uint32(0), .uint32(Arm.moved), .uint64(link)], "(IIL)")
                }
                #expect(try await subscribe(1) == nil)
                #expect(try await subscribe(2) == "limit: host:127.0.0.1: 1 subscriptions are held: end one (rule 1)")
                #expect(
                    try await client.refusal(
                        of: WellKnownActions.unregisterEvent, on: object, [.uint32(0), .uint32(Arm.moved), .uint64(1)], "(IIL)") == nil)
                #expect(try await subscribe(3) == nil)
            }
            // What the connection held is free again with its end.
            try await withClient(directory.outside) { client in
                let object = ObjectAddress.main(ofService: try await client.lookUp("Arm"))
                try await client.subscribe(to: Arm.moved, of: object, link: 1)
            }
        }
    }

    @Test func aSubscriptionThatIsSaidAgainIsNotCountedTwice() async throws {
        var limits = PrincipalLimits()
        limits.subscriptions = 1
        var capabilities = Capabilities.ours
        capabilities[Capabilities.Name.eventGaps] = QiDynamic(.bool(true))
        try await GuardedDirectory.with([.of(Self.lan, allow: ["Arm.*"], limits: limits)], ["Arm": Arm().object]) { directory in
            let client = try await RawClient(directory.outside)
            try await client.authenticate(capabilities)
            let object = ObjectAddress.main(ofService: try await client.lookUp("Arm"))
            try await client.subscribe(to: Arm.moved, of: object, link: 1)
            try await client.subscribe(to: Arm.moved, of: object, link: 1)
            let refusal = try await client.refusal(
                of: WellKnownActions.registerEvent, on: object, [.uint32(0), .uint32(Arm.moved), .uint64(2)], "(IIL)")
            #expect(refusal == "limit: host:127.0.0.1: 1 subscriptions are held: end one (rule 1)")
            try await client.close()
        }
    }

    @Test func largeArgumentsAreRefused() async throws {
        var limits = PrincipalLimits()
        limits.payload = 8
        try await GuardedDirectory.with([.of(Self.lan, allow: ["Arm.*"], limits: limits)], ["Arm": Arm().object]) { directory in
            try await withClient(directory.outside) { client in
                let object = ObjectAddress.main(ofService: try await client.lookUp("Arm"))
                #expect(try await client.refusal(of: Arm.move, on: object, [.int32(1)], "(i)") == nil)
                #expect(
                    try await client.refusal(of: Arm.move, on: object, [.string("far too long")], "(s)")
                        == "limit: host:127.0.0.1: the arguments have 16 bytes, and 8 are allowed (rule 1)")
            }
        }
    }

    @Test func anExclusivePrincipalHasOneConnectionAtATime() async throws {
        try await GuardedDirectory.with([.of(Self.lan, allow: ["*"], exclusive: true)], ["Arm": Arm().object]) { directory in
            try await withClient(directory.outside) { first in
                try await first.expectAlive()
                let second = try await RawClient(directory.outside)
                try await second.authenticate()
                await second.expectClosed()
                try await first.expectAlive()
            }
            #expect(directory.audit.has("denied", "", "connect"))
        }
    }

    // MARK: - Hosting

    private static func register(_ name: String, endpoint: String, over client: RawClient) async throws -> Message {
        let info = ServiceInfo(name: name, machineID: "elsewhere", processID: 1, endpoints: [endpoint], sessionID: "s-\(name)")
        return try await client.call(
            ActionAddress(.serviceDirectory, action: WellKnownActions.registerService), id: 20, [info.qiValue],
            Signature(.tuple([ServiceInfo.signature.type])))
    }

    @Test func aServiceMayBeHostedFromOutsideUnderTheNamesThatARuleLists() async throws {
        try await GuardedDirectory.with([.of(Self.lan, only: [.register: ["Vision*"]])]) { directory in
            try await withClient(directory.outside) { client in
                let refused = try await Self.register("ALMotion", endpoint: "tcp://10.9.8.7:1", over: client)
                #expect(refused.errorText == "denied: host:127.0.0.1 may not register ALMotion (no rule allows it)")
                let answer = try await Self.register("Vision1", endpoint: "tcp://10.9.8.7:1", over: client)
                #expect(answer.kind == .reply, "\(answer.errorText)")
                guard let id = try answer.value("I").asUInt32 else { return }
                #expect(
                    try await client.refusal(of: WellKnownActions.serviceReady, on: .serviceDirectory, [.uint32(id)], "(I)") == nil)
                #expect(try await client.serviceNames() == ["ServiceDirectory", "Vision1"])
                // Nobody is sent to where a stranger says that it listens.
                let infos = try await directory.server.services()
                #expect(infos.map(\.name) == ["Vision1"])
                #expect(infos.allSatisfy { $0.endpoints.isEmpty })
            }
        }
    }

    @Test func withoutSuchARuleNothingCanBeRegistered() async throws {
        try await GuardedDirectory.with([.of(Self.lan, allow: ["*"])]) { directory in
            try await withClient(directory.outside) { client in
                let answer = try await Self.register("ALMotion", endpoint: "tcp://10.9.8.7:1", over: client)
                #expect(answer.errorText == "denied: host:127.0.0.1 may not register ALMotion (no rule allows it)")
                #expect(try await directory.server.services().isEmpty)
            }
        }
    }
}
