import NIOCore
@testable import QiMessaging
import QiWire
import Testing

/// A policy that is replaced while connections live.
@Suite(.timeLimit(.minutes(8))) struct PolicyReloadTests {
    private static let lan = Subject.zone(.lan)

    @Test(arguments: [false, true]) func aSubscriptionThatIsNotAllowedAnyMoreEnds(isForwarded: Bool) async throws {
        let arm = Arm()
        let services = isForwarded ? [:] : ["Arm": arm.object]
        try await GuardedDirectory.with([.of(Self.lan, allow: ["*"])], services) { directory in
            try await withSession(directory.inside) { session in
                if isForwarded { _ = try await session.register(arm.object, as: "Arm") }
                let inside = try await session.service("Arm")
                try await withClient(directory.outside) { client in
                    let object = ObjectAddress.main(ofService: try await client.lookUp("Arm"))
                    try await client.subscribe(to: Arm.moved, of: object, link: 1)
                    _ = try await inside.call("move", arguments: [.int32(1)])
                    let event = try #require(await client.next())
                    #expect(event.kind == .event && event.address.action == Arm.moved)
                    directory.reload(.of(Self.lan, allow: ["Arm.get*"]))
                    _ = try await inside.call("move", arguments: [.int32(2)])
                    #expect(try await client.refusal(of: Arm.getAngle, on: object) == nil)
                    #expect(try await client.eventsUntilAnswer().isEmpty)
                }
            }
        }
    }

    /// A client that holds the service needs no new look-up, and no new session.
    @Test(arguments: [false, true]) func aPermissionGrantedLaterHoldsForWhoHoldsTheService(isForwarded: Bool) async throws {
        let arm = Arm()
        try await GuardedDirectory.with([.of(Self.lan, allow: ["Arm.get*"])], isForwarded ? [:] : ["Arm": arm.object]) { directory in
            try await withSession(directory.inside) { host in
                if isForwarded { _ = try await host.register(arm.object, as: "Arm") }
                try await withSession(directory.outside) { session in
                    let held = try await session.service("Arm")
                    #expect(try await held.call("getAngle", arguments: []) == .int32(7))
                    let error = await #expect(throws: QiError.self) {
                        _ = try await held.call("move", arguments: [.int32(1)])
                    }
                    #expect(error?.code == .denied, "\(String(describing: error))")
                    #expect(error?.message == "denied: host:127.0.0.1 may not call Arm.move (no rule allows it)")
                    directory.reload(.of(Self.lan, allow: ["Arm.*"]))
                    _ = try await held.call("move", arguments: [.int32(1)])
                    #expect(arm.moves == 1)
                }
            }
        }
    }

    @Test func whatComesIntoSightIsToldAndWhatGoesOutOfIt() async throws {
        try await GuardedDirectory.with([.of(Self.lan, allow: ["Arm.*"])], ["Arm": Arm().object, "Leg": Arm().object]) { directory in
            try await withClient(directory.outside) { client in
                for (link, signal) in [(1, WellKnownActions.serviceAdded), (2, WellKnownActions.serviceRemoved)] {
                    try await client.subscribe(to: signal, of: .serviceDirectory, link: UInt64(link))
                }
                directory.reload(.of(Self.lan, allow: ["Leg.*"]))
                var told: [String] = []
                while told.count < 2, let event = await client.next() {
                    guard let (_, name) = event.payload.idAndName else { continue }
                    told.append("\(event.address.action == WellKnownActions.serviceAdded ? "+" : "-")\(name)")
                }
                #expect(Set(told) == ["-Arm", "+Leg"])
                #expect(try await client.serviceNames() == ["ServiceDirectory", "Leg"])
            }
        }
    }

    @Test func onlyWhoMayKnowIsToldOfNewServices() async throws {
        try await GuardedDirectory.with([.of(Self.lan, allow: ["Arm.*"])]) { directory in
            try await withClient(directory.outside) { client in
                try await client.subscribe(to: WellKnownActions.serviceAdded, of: .serviceDirectory, link: 1)
                _ = try await directory.server.register(Arm().object, as: "Leg")
                _ = try await directory.server.register(Arm().object, as: "Arm")
                let event = try #require(await client.next())
                #expect(event.payload.idAndName?.1 == "Arm")
            }
        }
    }

    @Test func aRuleEndsWhenItsTimeIsUp() async throws {
        let past = WallClock.seconds - 10
        try await GuardedDirectory.with([.of(Self.lan, allow: ["*"], expires: past)], ["Arm": Arm().object]) { directory in
            try await withClient(directory.outside) { client in
                let refusal = try await client.refusalOfLookUp("Arm")
                #expect(refusal?.hasPrefix("denied: host:127.0.0.1 has no rule; on that node: qimesh policy check ") == true, "\(refusal ?? "found")")
            }
        }
    }

    @Test func aRevisionVoidsWhatWasDecided() async throws {
        let control = AccessControl(PermissionPolicy())
        let before = control.revision
        let changes = AsyncStream.makeStream(of: Void.self)
        let token = control.observe { changes.continuation.yield() }
        control.replace(PermissionPolicy(rules: [.of(.everyone, allow: ["*"])]))
        #expect(control.revision == before + 1)
        #expect(control.policy.rules.count == 1)
        for await _ in changes.stream { break }
        control.stopObserving(token)
        control.replace(PermissionPolicy())
        #expect(control.policy.rules.isEmpty)
    }
}
