import NIOCore
@testable import QiMessaging
import QiWire
import Testing

/// A master and two member boards, joined over sockets of this machine: nobody reaches anybody but through the directories. (Straight
/// from board to board needs boards: Tests/EndToEnd/test_boards.py.)
@Suite(.timeLimit(.minutes(8)))
struct MemberDirectoryTests {
    private struct Robot {
        let master: MortalDirectory
        let arm: MortalDirectory
        let leg: MortalDirectory
    }

    private func withRobot(_ body: (Robot) async throws -> Void) async throws {
        try await withFolder { folder in
            let master = try MortalDirectory(in: folder, name: "master", machineID: "head-machine")
            let arm = try MortalDirectory(in: folder, name: "arm", machineID: "arm-machine", master: master.endpoint)
            let leg = try MortalDirectory(in: folder, name: "leg", machineID: "leg-machine", master: master.endpoint)
            try await master.ending {
                try await master.start()
                try await arm.ending {
                    try await arm.start()
                    try await leg.ending {
                        try await leg.start()
                        try await body(Robot(master: master, arm: arm, leg: leg))
                    }
                }
            }
        }
    }

    /// Waits until a session sees `name`.
    private func wait(for name: String, in session: Session) async throws -> ServiceInfo {
        let added = try await session.directory().events(of: "serviceAdded")
        while true {
            if let info = try await session.services().first(where: { $0.name == name }) { return info }
            _ = try #require(await added.first())
        }
    }

    @Test func aServiceIsKnownEverywhereUnderOneID() async throws {
        try await withRobot { robot in
            try await withSession(of: robot.arm, machineID: "arm-machine") { host in
                let hosted = try await host.register(ProbeTests.probeObject(), as: "Arm")
                for (directory, machine) in [(robot.master, "head-machine"), (robot.leg, "leg-machine"), (robot.arm, "arm-machine")] {
                    try await withSession(of: directory, machineID: machine) { session in
                        let info = try await wait(for: "Arm", in: session)
                        #expect(info.serviceID == hosted.serviceID)
                        let names = try await session.services().map(\.name)
                        #expect(names == ["ServiceDirectory", "Arm"])
                        let service = try await session.service("Arm")
                        let answer: Int32 = try await service.call("inc", Int32(1))
                        #expect(answer == 2)
                        let events = try await service.events(of: "sig")
                        try hosted.emit("sig", [.int32(7), .string("")])
                        #expect(await events.first()?.first == .int32(7))
                    }
                }
                let list = try await robot.master.server.services()
                #expect(list.map(\.machineID) == ["arm-machine"])
            }
        }
    }

    @Test func idsAreUniqueOverTheRobot() async throws {
        try await withRobot { robot in
            var ids: Set<UInt32> = []
            for (directory, name) in [(robot.arm, "A"), (robot.leg, "B"), (robot.master, "C"), (robot.arm, "D")] {
                ids.insert(try await directory.server.register(ProbeTests.probeObject(), as: name).serviceID)
            }
            #expect(ids == [2, 3, 4, 5])
            await #expect(throws: QiError.self) {
                _ = try await robot.leg.server.register(ProbeTests.probeObject(), as: "A")
            }
        }
    }

    @Test func whatGoesIsGoneEverywhere() async throws {
        try await withRobot { robot in
            try await withSession(of: robot.leg, machineID: "leg-machine") { user in
                let (events, id) = try await withSession(of: robot.arm, machineID: "arm-machine") { host in
                    let id = try await host.register(ProbeTests.probeObject(), as: "Arm").serviceID
                    _ = try await wait(for: "Arm", in: user)
                    let service = try await user.service("Arm")
                    return (try await service.events(of: "sig"), id)
                }
                // Its host ended.
                #expect(await events.first() == nil)
                #expect(events.failure?.message == "Service removed")
                await #expect(throws: QiError.self) { _ = try await user.info(of: "Arm") }
                let next = try await robot.arm.server.register(ProbeTests.probeObject(), as: "Arm")
                #expect(next.serviceID == id + 1)
            }
        }
    }

    @Test func theMasterMayRestart() async throws {
        try await withRobot { robot in
            try await withSession(of: robot.arm, machineID: "arm-machine") { host in
                let hosted = try await host.register(ProbeTests.probeObject(), as: "Arm")
                try await withSession(of: robot.leg, machineID: "leg-machine") { user in
                    _ = try await wait(for: "Arm", in: user)
                    let service = try await user.service("Arm")
                    let events = try await service.events(of: "sig")
                    try hosted.emit("sig", [.int32(1), .string("")])
                    #expect(await events.first()?.first == .int32(1))
                    let removed = try await user.directory().events(of: "serviceRemoved")
                    try await robot.master.kill()
                    // Look-ups keep working.
                    #expect(try await user.info(of: "Arm").serviceID == hosted.serviceID)
                    #expect(try await host.service("Arm").call("inc", arguments: [.int32(1)]) == .int32(2))
                    try await robot.master.start()
                    try await withSession(of: robot.master, machineID: "head-machine") { session in
                        let found = try await wait(for: "Arm", in: session)
                        #expect(found.serviceID == hosted.serviceID)
                    }
                    try await untilCalled(service)
                    try hosted.emit("sig", [.int32(2), .string("")])
                    #expect(await events.first()?.first == .int32(2))
                    try hosted.emit("sig", [.int32(3), .string("")])
                    #expect(await events.first()?.first == .int32(3))
                    // Nobody was told that anything had gone.
                    let last = try await robot.leg.server.register(ProbeTests.probeObject(), as: "Last")
                    try await robot.leg.server.unregister(last)
                    #expect(await removed.first()?.last?.asString == "Last")
                    #expect(try await robot.leg.server.masterTrouble() == nil)
                }
            }
        }
    }

    /// Calls until one is answered: the way through two directories comes back in two steps that nothing here tells of.
    private func untilCalled(_ service: ObjectProxy) async throws {
        while true {
            do throws(QiError) {
                _ = try await service.call("inc", arguments: [.int32(1)])
                return
            } catch {
                guard error.isRetryable || error.code == .remote else { throw error }
            }
        }
    }

    @Test func registeringWaitsForTheMaster() async throws {
        try await withRobot { robot in
            try await robot.master.kill()
            async let registering = robot.arm.server.register(ProbeTests.probeObject(), as: "Arm")
            try await robot.master.start()
            let hosted = try await registering
            #expect(hosted.serviceID == 2)
            try await withSession(of: robot.leg, machineID: "leg-machine") { session in
                let found = try await wait(for: "Arm", in: session)
                #expect(found.serviceID == 2)
            }
        }
    }

    @Test func andFailsWithARetryableErrorWithoutOne() async throws {
        try await withRobot { robot in
            try await robot.master.kill()
            let error = await #expect(throws: QiError.self) {
                _ = try await robot.arm.server.register(ProbeTests.probeObject(), as: "Arm")
            }
            #expect(error?.isRetryable == true && error?.message.contains(robot.master.endpoint.text) == true)
            #expect(try await robot.arm.server.services().isEmpty)
            let trouble = try await robot.arm.server.masterTrouble()
            #expect(trouble?.code == .offline)
        }
    }

    @Test func everyBoardKnowsWhatAllAreCalled() async throws {
        try await withRobot { robot in
            let boards = [(robot.master, "head"), (robot.arm, "left arm"), (robot.leg, "leg")]
            for (board, name) in boards { try await board.server.nameBoard(name) }
            let all = ["head-machine": "head", "arm-machine": "left arm", "leg-machine": "leg"]
            for (board, _) in boards { while try await board.server.boardNames() != all {} }
            // Boards may be renamed.
            for (board, name) in [(robot.master, "torso"), (robot.leg, "right leg")] { try await board.server.nameBoard(name) }
            let renamed = ["head-machine": "torso", "arm-machine": "left arm", "leg-machine": "right leg"]
            for (board, _) in boards { while try await board.server.boardNames() != renamed {} }
            // Away it is forgotten, and named again when it is back.
            try await robot.arm.kill()
            while try await robot.leg.server.boardNames() != ["head-machine": "torso", "leg-machine": "right leg"] {}
            try await robot.arm.start { try await $0.nameBoard("arm") }
            while try await robot.leg.server.boardNames()["arm-machine"] != "arm" {}
            // Without a master each knows itself.
            try await robot.master.kill()
            while try await robot.leg.server.boardNames() != ["leg-machine": "right leg"] {}
        }
    }

    /// The service for it is the robot's own: by name no less than in listings.
    @Test func thoseOutsideDoNotFindWhereBoardsMeet() async throws {
        try await withRobot { robot in
            let master = try robot.master.server
            try await master.nameBoard("head")
            let door = try await master.listen(at: #require(Endpoint("tcp://127.0.0.1:0")), zone: .lan)
            let look = ActionAddress(.serviceDirectory, action: WellKnownActions.service)
            for (endpoint, isInside) in [(robot.master.endpoint, true), (door.endpoint, false)] {
                try await withClient(endpoint) { client in
                    let answer = try await client.call(look, id: 7, [.string("QiMeshBoards")], "(s)")
                    #expect(answer.kind == (isInside ? .reply : .error))
                    let list = try await client.call(ActionAddress(.serviceDirectory, action: WellKnownActions.services), id: 8)
                    #expect(list.kind == .reply && !list.payload.readableBytesView.contains("QiMeshBoards".utf8))
                }
            }
            await door.close()
        }
    }

    @Test func aBoardsNameIsBounded() async throws {
        try await withRobot { robot in
            let long = String(repeating: "x", count: BoardNames.maximumText + 1)
            try await robot.master.server.nameBoard("head")
            try await withClient(robot.master.endpoint) { client in
                let service = try await client.lookUp(BoardNames.serviceName)
                let join = ActionAddress(.main(ofService: service), action: BoardNames.join)
                for (machine, name) in [(long, "arm"), ("machine", long), ("", "arm"), ("machine", "")] {
                    let answer = try await client.call(join, id: 9, [.string(QiString(machine)), .string(QiString(name))], "(ss)")
                    #expect(answer.errorText.contains("1 to 64 bytes"))
                }
                let taken = try await client.call(join, id: 10, [.string("machine"), .string("arm")], "(ss)")
                #expect(taken.kind == .reply)
            }
            while try await robot.master.server.boardNames() != ["head-machine": "head"] {}
        }
    }

    @Test func soIsTheNumberOfNamedBoards() async throws {
        try await withRobot { robot in
            try await robot.master.server.nameBoard("head")
            var clients: [RawClient] = []
            func join() async throws -> Message {
                let client = try await RawClient(robot.master.endpoint)
                clients.append(client)
                try await client.authenticate()
                let address = ActionAddress(.main(ofService: try await client.lookUp(BoardNames.serviceName)), action: BoardNames.join)
                return try await client.call(address, id: 9, [.string("machine \(clients.count)"), .string("arm")], "(ss)")
            }
            for _ in 0..<BoardNames.maximumBoards { #expect(try await join().kind == .reply) }
            #expect(try await robot.master.server.boardNames().count == BoardNames.maximumBoards + 1)
            #expect(try await join().errorText.contains("64 boards already"))
            for client in clients { try await client.close() }
        }
    }

    /// A member that dies: its hosts come back to it, under the ids they had.
    @Test func aMemberMayRestart() async throws {
        try await withRobot { robot in
            try await withSession(of: robot.arm, machineID: "arm-machine") { host in
                _ = try await robot.master.server.register(ProbeTests.probeObject(), as: "Head")
                let hosted = try await host.register(ProbeTests.probeObject(), as: "Arm")
                try await robot.arm.kill()
                _ = await host.isAway()
                try await robot.arm.start()
                await host.isBack()
                try await withSession(of: robot.leg, machineID: "leg-machine") { session in
                    let info = try await wait(for: "Arm", in: session)
                    #expect(info.serviceID == hosted.serviceID)
                    let answer: Int32 = try await session.service("Arm").call("inc", Int32(1))
                    #expect(answer == 2)
                }
            }
        }
    }

    @Test func namesOfOtherBoardsAreTaken() async throws {
        try await withRobot { robot in
            _ = try await robot.master.server.register(ProbeTests.probeObject(), as: "Head")
            try await withSession(of: robot.arm, machineID: "arm-machine") { host in
                let error = await #expect(throws: QiError.self) {
                    _ = try await host.register(ProbeTests.probeObject(), as: "Head")
                }
                #expect(error?.message.contains("already registered") == true)
            }
        }
    }
}
