import NIOCore
import Testing

@testable import XMPP

/// Many bytestreams that are opened at once, on one connection.
@Suite struct BytestreamTurnsTests {
    private func initiations(_ pair: JoinedPair) -> Int { pair.conversation.filter { $0 == "robot: session-initiate" }.count }

    @Test func threeAreSetUpAtOneTimeAndTheNextFollowsTheFirstBytes() throws {
        let pair = try JoinedPair()
        let desk = Recorder()
        pair.acceptAtDesk(desk)
        let robots = (0..<5).map { _ in Recorder() }
        for robot in robots { pair.openFromRobot(robot) }
        pair.settle()
        #expect(initiations(pair) == 3)
        #expect(robots.map { $0.channel != nil } == [true, true, true, false, false])
        // The one that desk's recorder has is the last that was opened.
        desk.write("hello")
        pair.settle()
        #expect(initiations(pair) == 4)
        robots[0].channel?.close(promise: nil)
        pair.settle()
        #expect(initiations(pair) == 5)
        #expect(robots.allSatisfy { $0.channel != nil && $0.error == nil })
    }

    @Test func streamsOnWhichNothingComesBackMakeRoomAfterAWhile() throws {
        let pair = try JoinedPair()
        pair.acceptAtDesk(Recorder())
        let robots = (0..<7).map { _ in Recorder() }
        for robot in robots { pair.openFromRobot(robot) }
        pair.settle()
        #expect(initiations(pair) == 3)
        pair.advance(by: .seconds(3))
        #expect(initiations(pair) == 6)
        pair.advance(by: .seconds(3))
        #expect(initiations(pair) == 7)
    }

    @Test func theTimeOfAnAttemptBeginsWithItsTurn() throws {
        let pair = try JoinedPair()
        pair.isRobotScripted = false
        // Desk answers nothing at all.
        pair.tamper = { if case .request(let iq) = $0, iq.payload["action"] == "session-initiate" { nil } else { $0 } }
        let robots = (0..<6).map { _ in Recorder() }
        for robot in robots { pair.openFromRobot(robot, timeout: .seconds(20)) }
        pair.settle()
        pair.advance(by: .seconds(20))
        #expect(robots.map { $0.error?.code } == [.timedOut, .timedOut, .timedOut, nil, nil, nil])
        pair.advance(by: .seconds(19))
        #expect(robots.suffix(3).allSatisfy { $0.error == nil })
        pair.advance(by: .seconds(1))
        #expect(robots.allSatisfy { $0.error?.code == .timedOut && $0.completions == 1 })
    }

    /// Six stanzas a second; a bytestream and the handshake above it take about twelve.
    @Test(arguments: [3, 30])
    func manyAtOnceOnANarrowServerFinishOneAfterTheOther(places: Int) throws {
        var limits = BytestreamLimits()
        limits.openingsAtOnce = places
        limits.streamsPerContact = 64
        let pair = try JoinedPair(limits: limits)
        pair.desk.bytestreams.jingle.setHandler(applicationNamespace: JoinedPair.namespace, on: pair.desk.loop) { _ in
            .accept { Recorder(echoes: true).install(on: $0) }
        }
        pair.mostDelivered = 6
        let robots = (0..<30).map { _ in Recorder() }
        for robot in robots { pair.openFromRobot(robot, timeout: .seconds(20)) }
        var greeted = Set<Int>()
        for _ in 0..<240 {
            pair.advance(by: .seconds(1))
            for (index, robot) in robots.enumerated() where robot.channel?.isActive == true && greeted.insert(index).inserted {
                robot.write("hello")
            }
        }
        let done = robots.filter { $0.receivedText == "hello" }.count
        if places == 3 {
            #expect(done == 30, "\(robots.compactMap { $0.error?.message })")
        } else {
            // Without turns most of them time out: what this test is there for.
            #expect(done < 20)
        }
    }

    @Test func oneThatIsGivenUpWhileItWaitsSendsNothing() throws {
        let pair = try JoinedPair()
        pair.acceptAtDesk(Recorder())
        for _ in 0..<3 { pair.openFromRobot(Recorder()) }
        let waiting = Recorder()
        let opening = pair.openFromRobot(waiting)
        pair.robot.bytestreams.jingle.cancelOpening(opening)
        pair.settle()
        #expect(waiting.error?.code == .cancelled)
        #expect(waiting.completions == 1)
        pair.advance(by: .seconds(10))
        #expect(initiations(pair) == 3)
    }

    @Test(arguments: ["offline", "no contact", "disconnected"])
    func theEndOfAContactOrOfTheConnectionEndsWhatWaits(_ end: String) throws {
        let pair = try JoinedPair()
        pair.acceptAtDesk(Recorder())
        let robots = (0..<5).map { _ in Recorder() }
        for robot in robots { pair.openFromRobot(robot) }
        pair.settle()
        switch end {
        case "offline": pair.robot.bytestreams.peerUnavailable(pair.desk.jid)
        case "no contact": pair.robot.bytestreams.contactRemoved(pair.desk.jid.bare, "revoked")
        default: pair.robot.bytestreams.disconnected(XMPPError(.connectionLost, "gone"))
        }
        pair.settle()
        #expect(robots.suffix(2).allSatisfy { $0.error != nil && $0.completions == 1 })
        #expect(initiations(pair) == 3)
        #expect(pair.robot.bytestreams.jingle.openings.isEmpty)
        #expect(pair.robot.bytestreams.jingle.turns.count == 0)
    }

    @Test func moreThanAContactMayHaveIsRefusedAtOnceAlsoWhileTheyWait() throws {
        let pair = try JoinedPair()
        pair.acceptAtDesk(Recorder())
        let robots = (0..<17).map { _ in Recorder() }
        for robot in robots { pair.openFromRobot(robot) }
        #expect(robots.map { $0.error?.code } == Array(repeating: nil, count: 16) + [.limitExceeded])
    }

    @Test func oneThatWaitedForTooLongFailsWithTheReason() throws {
        var limits = BytestreamLimits()
        limits.openingPatience = .seconds(10)
        let pair = try JoinedPair(limits: limits)
        pair.tamper = { if case .request(let iq) = $0, iq.payload["action"] == "session-initiate" { nil } else { $0 } }
        let robots = (0..<4).map { _ in Recorder() }
        for robot in robots { pair.openFromRobot(robot) }
        pair.settle()
        pair.advance(by: .seconds(10))
        #expect(robots[3].error?.code == .limitExceeded)
        #expect(robots[3].error?.message.contains("waited 10 s") == true)
    }
}
