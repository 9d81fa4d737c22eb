import Testing
import XMPP

@testable import QiMesh

/// Which connections are asked, and when.
@Suite struct DeviceProbesStateMachineTests {
    private let start = ContinuousClock.now
    private func at(_ seconds: Double) -> ContinuousClock.Instant { start + .seconds(seconds) }
    private func jid(_ number: Int) throws -> JID { try #require(JID("d\(number)@mesh.test/qimesh")) }

    private func machine(_ connections: [JID], isLive: Bool = false) -> DeviceProbesStateMachine {
        var machine = DeviceProbesStateMachine()
        for connection in connections { machine.present(connection, isLive: isLive, at: start) }
        return machine
    }

    @Test func nothingIsAskedUnlessSomebodyLooks() throws {
        let one = try jid(1)
        var machine = machine([one])
        #expect(machine.turn(watched: [], now: at(1_000)) == .init())
        #expect(machine.look(at: [one], now: at(1_000)) == [one])
        #expect(machine.turn(watched: [], now: at(1_000)).probes.map(\.connection) == [one])
    }

    @Test func otherSignsOfLifeAreLookedForOnlyWhenAQuestionIsDue() throws {
        let (one, two) = (try jid(1), try jid(2))
        var machine = machine([one, two], isLive: true)
        #expect(!machine.wouldAsk(watched: [one], now: at(7)))
        #expect(machine.wouldAsk(watched: [one], now: at(8)) && !machine.wouldAsk(watched: [], now: at(8)))
        #expect(machine.wasHeard(one, at: at(6)) == false)
        #expect(!machine.wouldAsk(watched: [one], now: at(8)) && machine.wouldAsk(watched: [one], now: at(14)))
        #expect(machine.turn(watched: [one], now: at(8)).probes.isEmpty)
        // One that is wanted is as good as asked, until a turn finds that it was heard.
        #expect(machine.look(at: [two], now: at(8)) == [two] && machine.wouldAsk(watched: [], now: at(8)))
        #expect(machine.wasHeard(two, at: at(7)) == false)
        let turn = machine.turn(watched: [], now: at(8))
        #expect(turn.probes.isEmpty && turn.isSettled && machine.isSettled([two]))
    }

    @Test func anAnswerIsGoodForEightSecondsHoweverManyLook() throws {
        let one = try jid(1)
        var machine = machine([one])
        #expect(machine.look(at: [one], now: at(0)) == [one] && machine.look(at: [one], now: at(0)) == [one])
        let turn = machine.turn(watched: [one], now: at(0))
        #expect(turn.probes.count == 1 && turn.next == at(5))
        // It is under way: others wait for the same answer.
        #expect(machine.look(at: [one], now: at(1)) == [one])
        #expect(machine.turn(watched: [one], now: at(1)).probes.isEmpty)
        #expect(!machine.isSettled([one]))
        #expect(machine.answered(one, in: .seconds(2), at: at(2)) == false)
        #expect(machine.isSettled([one]))
        #expect(machine.look(at: [one], now: at(9.9)).isEmpty)
        #expect(machine.turn(watched: [], now: at(9.9)) == .init())
        #expect(machine.look(at: [one], now: at(10)) == [one])
    }

    @Test func whoIsWatchedIsAskedEightSecondsAfterItWasLastHeard() throws {
        let one = try jid(1)
        var machine = machine([one], isLive: true)
        let first = machine.turn(watched: [one], now: at(1))
        #expect(first.probes.isEmpty && first.next == at(8))
        #expect(machine.heard(one, at: at(5)) == false)
        let second = machine.turn(watched: [one], now: at(8))
        #expect(second.probes.isEmpty && second.next == at(13))
        #expect(machine.turn(watched: [one], now: at(13)).probes.count == 1)
    }

    @Test func aStoppedDeviceIsStaleWithinEighteenSecondsOfWatchingAtWorst() throws {
        let one = try jid(1)
        var machine = machine([one], isLive: true)
        // The slowest that is waited for.
        _ = machine.answered(one, in: .seconds(9), at: at(0))
        var now = start
        while true {
            let turn = machine.turn(watched: [one], now: now)
            if turn.checks { break }
            now = try #require(turn.next)
        }
        #expect(machine.checked(isAnswered: true) == true)
        #expect(now == at(18) && machine.liveness(of: one)?.staleSince == at(8))
        // Still asked, so that it is noticed when it goes on; and not more often.
        let turns = stride(from: 18.0, to: 60, by: 0.5).map { seconds in
            let turn = machine.turn(watched: [one], now: at(seconds))
            if turn.checks { #expect(machine.checked(isAnswered: true) == false) }
            return turn.probes.count
        }
        #expect((4...6).contains(turns.reduce(0, +)))
        #expect(machine.heard(one, at: at(60)) == true)
    }

    @Test func aHundredAreAskedEightAtATimeInOrder() throws {
        let all = try (0..<100).map(jid)
        var machine = machine(all)
        #expect(machine.look(at: all, now: at(0)) == all)
        var sent: [JID] = []
        var now = start
        var batches = 0
        while sent.count < 100, batches < 100 {
            let turn = machine.turn(watched: [], now: now)
            #expect(turn.probes.count <= 8)
            // Too early: nothing.
            #expect(machine.turn(watched: [], now: now + .milliseconds(100)).probes.isEmpty)
            sent += turn.probes.map(\.connection)
            for probe in turn.probes { _ = machine.answered(probe.connection, in: .milliseconds(1), at: now) }
            batches += 1
            if sent.count < 100 {
                let next = try #require(turn.next)
                #expect(next - now == .milliseconds(125))
                now = next
            }
        }
        #expect(sent == all && batches == 13)
        #expect(machine.isSettled(all))
    }

    @Test func whoLooksIsToldWhoWillBeJudgedSoon() throws {
        let (quick, unknown) = (try jid(1), try jid(2))
        var machine = machine([quick, unknown])
        _ = machine.answered(quick, in: .milliseconds(3), at: at(0))
        #expect(machine.look(at: [quick, unknown], now: at(60)) == [quick, unknown])
        #expect(machine.turn(watched: [], now: at(60)).next == at(62))
        #expect(machine.due([quick, unknown], by: at(62.1)) == [quick])
        let turn = machine.turn(watched: [], now: at(62))
        #expect(turn.checks && turn.next == at(65) && !machine.isSettled([quick]))
        #expect(machine.checked(isAnswered: true) == true)
        #expect(machine.isSettled([quick]) && !machine.isSettled([unknown]))
        #expect(machine.liveness(of: quick)?.staleSince == at(60) && machine.liveness(of: unknown)?.staleSince == nil)
    }

    @Test func oneThatGoesIsForgottenWithItsQuestion() throws {
        let one = try jid(1)
        var machine = machine([one])
        _ = machine.look(at: [one], now: at(0))
        machine.gone(one)
        #expect(machine.isSettled([one]))
        #expect(machine.turn(watched: [one], now: at(0)).probes.isEmpty)
        machine.present(one, isLive: true, at: at(1))
        _ = machine.look(at: [one], now: at(10))
        let probe = try #require(machine.turn(watched: [], now: at(10)).probes.first)
        machine.gone(one)
        // What becomes of its question is about nothing any more.
        #expect(machine.unreachable(probe) == false && machine.answered(one, in: .seconds(1), at: at(11)) == false)
        #expect(machine.liveness(of: one) == nil && machine.turn(watched: [one], now: at(100)) == .init())
    }

    @Test func theServersAnswerInItsPlaceEndsTheQuestionAndAFailureOfOursAsWell() throws {
        let one = try jid(1)
        var machine = machine([one])
        _ = machine.look(at: [one], now: at(0))
        let first = try #require(machine.turn(watched: [], now: at(0)).probes.first)
        #expect(machine.unreachable(first) == true && machine.isSettled([one]))
        _ = machine.look(at: [one], now: at(8))
        let second = try #require(machine.turn(watched: [], now: at(8)).probes.first)
        // The end of the first says nothing of the second.
        machine.failed(first)
        #expect(!machine.isSettled([one]))
        machine.failed(second)
        #expect(machine.isSettled([one]) && machine.liveness(of: one)?.staleSince == at(0))
        // It is not asked again at once, as it would be for ever where each question fails.
        #expect(machine.look(at: [one], now: at(8.2)).isEmpty)
    }

    @Test func whileOurOwnServerIsSilentNothingIsKnownOfAnyDevice() throws {
        let (one, two) = (try jid(1), try jid(2))
        var machine = machine([one, two])
        _ = machine.look(at: [one], now: at(0))
        #expect(machine.turn(watched: [], now: at(0)).probes.count == 1)
        _ = machine.look(at: [two], now: at(1))
        #expect(machine.turn(watched: [], now: at(1)).probes.count == 1)
        #expect(machine.turn(watched: [], now: at(5)).checks)
        // It becomes late while the check for the other is under way, and has one of its own afterwards.
        #expect(!machine.turn(watched: [], now: at(6)).checks)
        #expect(machine.checked(isAnswered: false) == false)
        #expect(machine.isSettled([one]) && !machine.isSettled([two]) && machine.liveness(of: one)?.staleSince == nil)
        #expect(machine.turn(watched: [], now: at(10)).checks)
        #expect(machine.checked(isAnswered: true) == true)
        #expect(machine.liveness(of: one)?.staleSince == nil && machine.liveness(of: two)?.staleSince == at(1))
    }

    @Test func oneThatAnswersOrGoesDuringTheCheckIsNotJudged() throws {
        let (one, two) = (try jid(1), try jid(2))
        var machine = machine([one, two])
        _ = machine.look(at: [one, two], now: at(0))
        _ = machine.turn(watched: [], now: at(0))
        #expect(machine.turn(watched: [], now: at(5)).checks)
        _ = machine.answered(one, in: .seconds(5), at: at(5))
        machine.gone(two)
        machine.present(two, isLive: true, at: at(5))
        #expect(machine.checked(isAnswered: true) == false)
        #expect(machine.liveness(of: one)?.staleSince == nil && machine.liveness(of: two)?.staleSince == nil)
    }

    @Test func oneThatIsHeardBeforeItsTurnIsNotAsked() throws {
        let one = try jid(1)
        var machine = machine([one])
        _ = machine.look(at: [one], now: at(0))
        _ = machine.heard(one, at: at(0))
        let turn = machine.turn(watched: [], now: at(0))
        #expect(turn.probes.isEmpty && turn.isSettled && machine.isSettled([one]))
    }
}
