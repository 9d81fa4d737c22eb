import NIOCore
@testable import QiMessaging
import QiWire
import Testing

/// What a policy does to connections: to services of the directory's process, and to those that it reaches for others.
@Suite(.timeLimit(.minutes(8))) struct PermissionWiringTests {
    private static let lan = Subject.zone(.lan)
    private static let looking = PermissionRule.of(lan, allow: ["*.get*"], deny: ["Hidden.*"])
    private static let unknownID: UInt32 = 77_777

    /// Runs `body` with the arm as `Arm` and `Hidden`: hosted by the directory itself, and by a session that the directory forwards to.
    private static func withArm(
        _ rules: [PermissionRule], isForwarded: Bool, _ body: (GuardedDirectory, Arm) async throws -> Void
    ) async throws {
        let arm = Arm()
        if !isForwarded {
            return try await GuardedDirectory.with(rules, ["Arm": arm.object, "Hidden": arm.object]) { try await body($0, arm) }
        }
        try await GuardedDirectory.with(rules) { directory in
            try await withSession(directory.inside) { session in
                _ = try await session.register(arm.object, as: "Arm")
                _ = try await session.register(arm.object, as: "Hidden")
                try await body(directory, arm)
            }
        }
    }

    @Test(arguments: [false, true]) func whatIsDeniedIsInvisible(isForwarded: Bool) async throws {
        try await Self.withArm([Self.looking], isForwarded: isForwarded) { directory, _ in
            try await withClient(directory.outside) { client in
                let names = try await client.serviceNames()
                #expect(names == ["ServiceDirectory", "Arm"])
                #expect(try await client.refusalOfLookUp("Hidden") == "Cannot find service 'Hidden' in index")
                #expect(try await client.refusalOfLookUp("Nowhere") == "Cannot find service 'Nowhere' in index")
            }
            #expect(directory.audit.has("denied", "Hidden", "look-up"))
            try await withClient(directory.inside) { client in
                let names = try await client.serviceNames()
                #expect(Set(names) == ["ServiceDirectory", "Arm", "Hidden"])
                #expect(try await client.refusalOfLookUp("Hidden") == nil)
            }
        }
    }

    @Test(arguments: [false, true]) func aGuessedIDAnswersAsOneThatWasNeverGiven(isForwarded: Bool) async throws {
        try await Self.withArm([Self.looking], isForwarded: isForwarded) { directory, arm in
            let hidden = ObjectAddress.main(ofService: try await directory.id(of: "Hidden"))
            try await withClient(directory.outside) { client in
                for action in [Arm.move, Arm.getAngle, WellKnownActions.metaObject, WellKnownActions.properties] {
                    let guessed = try await client.refusal(of: action, on: hidden, [.int32(1)], "(i)")
                    let unknown = try await client.refusal(of: action, on: .main(ofService: Self.unknownID), [.int32(1)], "(i)")
                    #expect(guessed == unknown && guessed == "The call request could not be handled.")
                }
            }
            #expect(arm.moves == 0)
        }
    }

    @Test(arguments: [false, true]) func whatBecomesHiddenAnswersTheSameWay(isForwarded: Bool) async throws {
        try await Self.withArm([.of(Self.lan, allow: ["*"])], isForwarded: isForwarded) { directory, arm in
            try await withClient(directory.outside) { client in
                let object = ObjectAddress.main(ofService: try await client.lookUp("Arm"))
                #expect(try await client.refusal(of: Arm.move, on: object, [.int32(1)], "(i)") == nil)
                directory.reload(.of(Self.lan, allow: ["Other.*"]))
                for action in [Arm.move, WellKnownActions.metaObject] {
                    #expect(
                        try await client.refusal(of: action, on: object, [.int32(1)], "(i)") == "The call request could not be handled.")
                }
                directory.reload(.of(Self.lan, allow: ["*"]))
                #expect(try await client.refusal(of: Arm.move, on: object, [.int32(1)], "(i)") == nil)
                #expect(arm.moves == 2)
            }
        }
    }

    @Test(arguments: [false, true]) func aDeniedMemberIsRefusedBeforeItIsReached(isForwarded: Bool) async throws {
        try await Self.withArm([Self.looking], isForwarded: isForwarded) { directory, arm in
            try await withClient(directory.outside) { client in
                let object = ObjectAddress.main(ofService: try await client.lookUp("Arm"))
                #expect(try await client.refusal(of: Arm.getAngle, on: object) == nil)
                #expect(
                    try await client.refusal(of: Arm.move, on: object, [.int32(1)], "(i)")
                        == "denied: host:127.0.0.1 may not call Arm.move (no rule allows it)")
                try await client.send(.post(ActionAddress(object, action: Arm.move), id: 5, [.int32(1)], "(i)"))
                try await client.send(.post(ActionAddress(object, action: Arm.moved), id: 6, [.int32(1)], "(i)"))
                #expect(
                    try await client.refusal(
                        of: WellKnownActions.registerEvent, on: object, [.uint32(object.service), .uint32(Arm.moved), .uint64(1)], "(IIL)")
                        == "denied: host:127.0.0.1 may not subscribe to Arm.moved (no rule allows it)")
                #expect(
                    try await client.refusal(of: WellKnownActions.stats, on: object)
                        == "denied: host:127.0.0.1 may not call Arm.stats (no rule allows it)")
                #expect(arm.moves == 0)
            }
            for access in ["call", "emit", "subscribe"] {
                #expect(directory.audit.has("denied", access == "call" ? "Arm.move" : "Arm.moved", access))
            }
        }
    }

    @Test(arguments: [false, true]) func metaobjectsAreWholeForEveryoneWhoMayUseAny(isForwarded: Bool) async throws {
        let rule = PermissionRule.of(Self.lan, only: [.call: ["Arm.getAngle"], .read: ["Arm.speed"], .subscribe: ["Arm.moved"]])
        try await Self.withArm([rule], isForwarded: isForwarded) { directory, _ in
            try await withClient(directory.outside) { client in
                let object = ObjectAddress.main(ofService: try await client.lookUp("Arm"))
                let seen = try await client.metaObject(of: object)
                let whole = Arm().object.makeObject().metaObject
                #expect(seen == whole && seen.methods.contains { $0.name == "move" } && seen.description == "An arm")
                let names = try await client.call(ActionAddress(object, action: WellKnownActions.properties), id: 9)
                #expect(try names.value("[s]") == .list([.string("speed"), .string("secret")]))
                // What is not allowed is shown, and says why it cannot be used.
                #expect(
                    try await client.refusal(of: Arm.move, on: object, [.int32(1)], "(i)")
                        == "denied: host:127.0.0.1 may not call Arm.move (no rule allows it)")
            }
        }
    }

    @Test(arguments: [false, true]) func propertiesAreReadAndWrittenByPermission(isForwarded: Bool) async throws {
        let rule = PermissionRule.of(Self.lan, only: [.read: ["Arm.speed", "Arm.secret"], .write: ["Arm.speed"]])
        try await Self.withArm([rule], isForwarded: isForwarded) { directory, _ in
            try await withClient(directory.outside) { client in
                let object = ObjectAddress.main(ofService: try await client.lookUp("Arm"))
                func dynamic(_ value: QiValue) -> QiValue { .dynamic(QiDynamic(value)) }
                func get(_ key: QiValue) async throws -> String? {
                    try await client.refusal(of: WellKnownActions.property, on: object, [dynamic(key)], "(m)")
                }
                func set(_ key: QiValue) async throws -> String? {
                    try await client.refusal(of: WellKnownActions.setProperty, on: object, [dynamic(key), dynamic(.int32(5))], "(mm)")
                }
                for key: QiValue in [.string("speed"), .uint32(Arm.speed)] {
                    #expect(try await get(key) == nil)
                    #expect(try await set(key) == nil)
                }
                let denied = "denied: host:127.0.0.1 may not write Arm.secret (no rule allows it)"
                for key: QiValue in [.string("secret"), .uint32(Arm.secret)] {
                    #expect(try await get(key) == nil)
                    #expect(try await set(key) == denied)
                }
                // Posting to its signal sets a property, too.
                try await client.send(.post(ActionAddress(object, action: Arm.secret), id: 5, [.int32(0)], "(i)"))
                let read = try await client.call(
                    ActionAddress(object, action: WellKnownActions.property), id: 6, [dynamic(.string("secret"))], "(m)")
                #expect(try read.value("m").unwrapped == .int32(42))
                #expect(try await get(.string("other")) == "denied: host:127.0.0.1 may not read Arm.other (no rule allows it)")
                #expect(try await set(.uint32(9999))?.contains("property") == true)
                // Arguments that cannot be read go nowhere.
                #expect(try await client.refusal(of: WellKnownActions.setProperty, on: object) != nil)
            }
        }
    }

    @Test(arguments: [false, true]) func objectsThatAreReturnedAreJudgedAsTheirService(isForwarded: Bool) async throws {
        try await Self.withArm([.of(Self.lan, allow: ["Arm.get*", "Arm.finger"])], isForwarded: isForwarded) { directory, arm in
            try await withClient(directory.outside) { client in
                let object = ObjectAddress.main(ofService: try await client.lookUp("Arm"))
                let answer = try await client.call(ActionAddress(object, action: Arm.finger), id: 4)
                guard case .object(let finger) = try answer.value("o") else {
                    Issue.record("no object: \(answer.errorText)")
                    return
                }
                #expect(finger.metaObject?.methods.filter { $0.uid >= 100 }.map(\.name) == ["getLength", "move"])
                #expect(try await client.refusal(of: 100, on: finger.address) == nil)
                #expect(
                    try await client.refusal(of: 101, on: finger.address, [.int32(1)], "(i)")
                        == "denied: host:127.0.0.1 may not call Arm.move (no rule allows it)")
                #expect(try await client.metaObject(of: finger.address).methods.filter { $0.uid >= 100 }.map(\.name) == ["getLength", "move"])
                #expect(arm.moves == 0)
            }
        }
    }

    private static let nothing =
        "denied: host:127.0.0.1 has no rule; on that node: qimesh policy check host:127.0.0.1 ServiceDirectory.services call --zone lan"

    @Test func aCallerWithoutAnyRuleIsToldSoWhateverItAsksTheDirectory() async throws {
        try await GuardedDirectory.with([.of(.jid("x@y.z"), allow: ["*"])], ["Arm": Arm().object]) { directory in
            try await withClient(directory.outside) { client in
                let asked: [(UInt32, String)] = [
                    (WellKnownActions.metaObject, "metaObject"), (WellKnownActions.properties, "properties"),
                    (WellKnownActions.terminate, "terminate"), (WellKnownActions.property, "property"),
                    (WellKnownActions.registerEvent, "registerEvent"), (WellKnownActions.service, "service"),
                    (WellKnownActions.services, "services"), (4711, "#4711"),
                ]
                for (action, name) in asked {
                    let told = try await client.refusal(of: action, on: .serviceDirectory)
                    #expect(told == Self.nothing, "\(name)")
                    #expect(directory.audit.has("denied", "ServiceDirectory.\(name)", "call"), "\(name): \(directory.audit.all)")
                }
            }
            // As a program sees it that uses the library.
            let error = await #expect(throws: QiError.self) { try await withSession(directory.outside) { _ in } }
            #expect(error?.code == .denied && error?.message == Self.nothing, "\(String(describing: error))")
        }
    }

    @Test func everyRefusalIsAuditedAndCounted() async throws {
        try await GuardedDirectory.with([.of(Self.lan, allow: ["Arm.get*"])], ["Arm": Arm().object]) { directory in
            try await withClient(directory.outside) { client in
                let object = ObjectAddress.main(ofService: try await client.lookUp("Arm"))
                let gone = ObjectAddress.main(ofService: Self.unknownID)
                // A member that is not there, a property that is not there, and generic members and posts of what is not there.
                #expect(try await client.refusal(of: 4711, on: object)?.hasPrefix("No such method") == true)
                let key = QiValue.dynamic(QiDynamic(.uint32(4711)))
                #expect(try await client.refusal(of: WellKnownActions.property, on: object, [key], "(m)") != nil)
                for action in [WellKnownActions.metaObject, WellKnownActions.terminate, 4711] {
                    #expect(try await client.refusal(of: action, on: gone) != nil)
                }
                try await client.send(.post(ActionAddress(gone, action: 100), id: 5, [.int32(1)], "(i)"))
                try await client.expectAlive()
                #expect(directory.audit.has("denied", "Arm.#4711", "call"))
                for action in [WellKnownActions.metaObject, WellKnownActions.terminate, 4711] {
                    #expect(directory.audit.has("denied", "\(ActionAddress(gone, action: action))", "call"))
                }
                #expect(directory.audit.has("denied", "\(ActionAddress(gone, action: 100))", "emit"))
                // Ninety of the hundred that may be refused at once, in one burst. Nothing comes back for a time that is over.
                let start = NIODeadline.now()
                var burst = ByteBuffer()
                for id in 1...90 as ClosedRange<UInt32> {
                    burst.writeMessage(try .call(ActionAddress(gone, action: WellKnownActions.metaObject), id: id))
                }
                try await client.send(burst)
                for id in 1...90 as ClosedRange<UInt32> {
                    let answer = try #require(await client.next())
                    #expect(answer.id == id && answer.kind == .error)
                }
                let principal = Principal(.host("127.0.0.1"), zone: .lan)
                var left = 0
                while left < 200, directory.control.refused(principal, at: start) == nil { left += 1 }
                #expect(left < AccessControl.refusals.count)
            }
        }
    }

    @Test func theBusItselfIsNotAskedUnlessARuleSaysSo() async throws {
        try await Self.withArm([Self.looking], isForwarded: false) { directory, arm in
            try await withClient(directory.inside) { client in
                let object = ObjectAddress.main(ofService: try await client.lookUp("Arm"))
                #expect(try await client.refusal(of: Arm.move, on: object, [.int32(1)], "(i)") == nil)
                let inner = directory.server.directory
                let guarded = try await directory.server.loop.run { (_) async throws(QiError) in
                    inner.value.connections.values.filter { $0.access != nil }.count
                }
                #expect(guarded == 0)
                directory.reload(.of(.zone(.internal), deny: ["Arm.move"]))
                #expect(
                    try await client.refusal(of: Arm.move, on: object, [.int32(1)], "(i)")
                        == "denied: host:127.0.0.1 may not call Arm.move (rule 1)")
                #expect(try await client.refusal(of: Arm.getAngle, on: object) == nil)
                directory.reload()
                #expect(try await client.refusal(of: Arm.move, on: object, [.int32(1)], "(i)") == nil)
            }
            #expect(arm.moves == 2)
        }
    }
}
