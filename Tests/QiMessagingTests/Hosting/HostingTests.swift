@testable import QiMessaging
import QiWire
import Testing

/// Services of one node in the directory of another, over a stream.
@Suite(.timeLimit(.minutes(8)))
struct HostingTests {
    private struct Robot {
        let access: AccessControl
        let near: DirectoryServer
        let far: FarStream
        /// The robot's own programs come here.
        let endpoint: Endpoint
        let audit: RecordedAudit
    }

    /// A robot that lets `desk@test` host `Vision*`.
    private static func withRobot(
        resume: Duration = .seconds(1), returnTime: Duration = .seconds(20), limits: ConnectionLimits = ConnectionLimits(),
        _ body: (Robot) async throws -> Void
    ) async throws {
        let audit = RecordedAudit()
        let rules: [PermissionRule] = [.of(.jid("desk@test"), allow: ["*"], only: [.register: ["Vision*"]])]
        let access = AccessControl(PermissionPolicy(rules: rules), audit: audit)
        try await FarStream.with(access: access, farLimits: limits, resume: resume, returnTime: returnTime) { near, _, far in
            let listener = try await far.server.listen(at: #require(Endpoint("tcp://127.0.0.1:0")))
            try await body(Robot(access: access, near: near, far: far, endpoint: listener.endpoint, audit: audit))
            await listener.close()
        }
    }

    /// The next event of that kind.
    private static func wait(for hosting: DeviceHosting, _ accept: (HostingEvent) -> Bool) async throws {
        for await event in hosting.events where accept(event) { return }
        throw QiError(.cancelled, "no such event came")
    }

    private static func isUp(_ event: HostingEvent) -> Bool { if case .up = event { true } else { false } }
    private static func isAway(_ event: HostingEvent) -> Bool { if case .away = event { true } else { false } }

    @Test func aServiceOfTheDeskIsTheRobotsOwnUntilItIsTakenAway() async throws {
        try await Self.withRobot { robot in
            let hosting = try await robot.near.host(Arm().object, as: "Vision1", at: "pepper")
            try await withSession(robot.endpoint) { session in
                let vision = try await session.service("Vision1")
                let angle: Int32 = try await vision.call("getAngle")
                #expect(angle == 7)
                let moved = try await vision.events(of: "moved")
                _ = try await vision.call("move", arguments: [.int32(5)])
                #expect(await moved.first() == [.int32(5)])
                let records = robot.audit.all.filter { $0.event == "register" }
                #expect(records.map(\.target) == ["Vision1"] && records.allSatisfy { $0.isAllowed && $0.principal == "desk@test" })
                await hosting.end()
                try await Self.untilGone("Vision1", session)
            }
        }
    }

    @Test func aNameThatNoRuleAllowsOrThatIsTakenIsRefusedInWordsAndAudited() async throws {
        try await Self.withRobot { robot in
            _ = try await robot.far.server.register(Arm().object, as: "VisionOwn")
            let denied = await #expect(throws: QiError.self) { _ = try await robot.near.host(Arm().object, as: "Motion", at: "pepper") }
            #expect(denied?.code == .denied && denied?.message.contains("desk@test may not register Motion") == true)
            let taken = await #expect(throws: QiError.self) { _ = try await robot.near.host(Arm().object, as: "VisionOwn", at: "pepper") }
            #expect(taken?.message.contains("already registered") == true)
            let unknown = await #expect(throws: QiError.self) { _ = try await robot.near.host(Arm().object, as: "Vision1", at: "salt") }
            #expect(unknown?.code == .notFound)
            let records = robot.audit.all.map { "\($0.event) \($0.target) \($0.isAllowed)" }
            #expect(records == ["denied Motion false", "refused VisionOwn false"])
        }
    }

    @Test func aServiceWhosePathIsLostIsKeptAndComesBackToThoseWhoUseIt() async throws {
        try await Self.withRobot { robot in
            let hosting = try await robot.near.host(Arm().object, as: "Vision1", at: "pepper")
            try await Self.wait(for: hosting, Self.isUp)
            try await withSession(robot.endpoint) { session in
                let vision = try await session.service("Vision1")
                let moved = try await vision.events(of: "moved")
                try await robot.far.lose()
                try await Self.wait(for: hosting, Self.isAway)
                try await Self.untilAway(vision)
                #expect(try await session.services().contains { $0.name == "Vision1" })
                let other = await #expect(throws: QiError.self) { _ = try await robot.far.server.register(Arm().object, as: "Vision1") }
                #expect(other?.code == .conflict)
                robot.far.comeBack()
                try await Self.wait(for: hosting, Self.isUp)
                try await Self.untilAnswered(vision)
                _ = try await vision.call("move", arguments: [.int32(6)])
                #expect(await moved.first() == [.int32(6)])
            }
        }
    }

    @Test func aServiceThatDoesNotComeBackInTimeIsGone() async throws {
        try await Self.withRobot(returnTime: .seconds(1)) { robot in
            let hosting = try await robot.near.host(Arm().object, as: "Vision1", at: "pepper")
            try await withSession(robot.endpoint) { session in
                _ = try await session.service("Vision1")
                try await robot.far.lose()
                try await Self.untilGone("Vision1", session)
                _ = try await robot.far.server.register(Arm().object, as: "Vision1")
                robot.far.comeBack()
                // Refused now, which its owner is told.
                try await Self.wait(for: hosting) {
                    if case .away(_, let error) = $0 { error.message.contains("already registered") } else { false }
                }
            }
        }
    }

    @Test func aRuleThatIsTakenBackEndsTheHosting() async throws {
        try await Self.withRobot { robot in
            let hosting = try await robot.near.host(Arm().object, as: "Vision1", at: "pepper")
            try await withSession(robot.endpoint) { session in
                _ = try await session.service("Vision1")
                robot.access.replace(PermissionPolicy(rules: [.of(.jid("desk@test"), allow: ["*"])]))
                try await Self.untilGone("Vision1", session)
                try await Self.wait(for: hosting) {
                    if case .away(_, let error) = $0 { error.message.contains("may not register Vision1") } else { false }
                }
                robot.access.replace(PermissionPolicy(rules: [.of(.jid("desk@test"), allow: ["*"], only: [.register: ["Vision1"]])]))
                try await Self.wait(for: hosting, Self.isUp)
                let angle: Int32 = try await session.service("Vision1").call("getAngle")
                #expect(angle == 7)
            }
        }
    }

    @Test func keptServicesCountForTheBoundOfTheirDevice() async throws {
        var limits = ConnectionLimits()
        limits.maximumServices = 2
        try await Self.withRobot(limits: limits) { robot in
            let first = try await robot.near.host(Arm().object, as: "Vision1", at: "pepper")
            _ = try await robot.near.host(Arm().object, as: "Vision2", at: "pepper")
            try await Self.wait(for: first, Self.isUp)
            try await robot.far.lose()
            try await Self.wait(for: first, Self.isAway)
            robot.far.comeBack()
            try await Self.wait(for: first, Self.isUp)
            let error = await #expect(throws: QiError.self) { _ = try await robot.near.host(Arm().object, as: "Vision3", at: "pepper") }
            #expect(error?.code == .limit, "\(String(describing: error))")
        }
    }

    @Test func aDeviceThatIsRevokedLeavesNothing() async throws {
        try await Self.withRobot { robot in
            _ = try await robot.near.host(Arm().object, as: "Vision1", at: "pepper")
            robot.far.server.dropDevice("desk@test", QiError(.denied, "desk@test was revoked"))
            try await withSession(robot.endpoint) { session in try await Self.untilGone("Vision1", session) }
        }
    }

    @Test func aDeviceReachesNothingOfTheDeskButWhatIsHostedThere() async throws {
        try await Self.withRobot { robot in
            _ = try await robot.near.register(Arm().object, as: "Private")
            _ = try await robot.near.host(Arm().object, as: "Vision1", at: "pepper")
            // The robot itself tries every id on the connection by which it calls.
            let far = robot.far.server
            let answers = try await far.loop.run { (_) async throws(QiError) -> [UInt32] in
                guard let connection = far.directory.value.deviceConnections.first else { throw QiError(.offline, "no stream") }
                var reached: [UInt32] = []
                for id in UInt32(1)...20 {
                    do throws(QiError) {
                        _ = try await connection.metaObject(of: .main(ofService: id), name: "#\(id)")
                        reached.append(id)
                    } catch {
                        guard error.message.contains("could not be handled") else { throw error }
                    }
                }
                return reached
            }
            let hosted = try await far.services().first { $0.name == "Vision1" }?.serviceID
            #expect(answers == [hosted])
        }
    }

    // MARK: - Waiting

    private static func untilGone(_ name: String, _ session: Session) async throws {
        let removed = try await session.directory().events(of: "serviceRemoved")
        while try await session.services().contains(where: { $0.name == name }) { _ = try #require(await removed.first()) }
    }

    private static func untilAway(_ proxy: ObjectProxy) async throws {
        while true {
            let error = await #expect(throws: QiError.self) { _ = try await proxy.call("getAngle", arguments: []) }
            if error?.message.contains("is away, and expected back") == true { return }
        }
    }

    private static func untilAnswered(_ proxy: ObjectProxy) async throws {
        while true {
            do throws(QiError) {
                return #expect(try await proxy.call("getAngle", arguments: []) == .int32(7))
            } catch {
                guard error.isRetryable else { throw error }
            }
        }
    }
}
