import Testing

@testable import QiMesh

/// One connection of a device: what it says, what it leaves unanswered, and what follows from both.
@Suite struct LivenessTests {
    private enum Event {
        case heard, ask(UInt64), answered(Duration), late, judged, excused, unreachable(UInt64), failed(UInt64), unansweredFor(Duration)
    }

    private let start = ContinuousClock.now

    /// Whether the connection is stale after each of the events, which happen so many seconds after the start; checks that an event calls
    /// itself news when it is.
    private func states(_ events: [(Double, Event)], heard: Bool = true) -> [Bool] {
        var liveness = Liveness(heard: heard ? start : nil)
        return events.map { seconds, event in
            let now = start + .seconds(seconds)
            let before = liveness.staleSince != nil
            var isNews: Bool?
            switch event {
            case .heard: isNews = liveness.heard(at: now)
            case .ask(let number): liveness.asked(number, at: now)
            case .answered(let roundTrip): isNews = liveness.answered(in: roundTrip, at: now)
            case .late: liveness.late()
            case .judged: isNews = liveness.judged(isOurPathUp: true)
            case .excused: isNews = liveness.judged(isOurPathUp: false)
            case .unreachable(let number): isNews = liveness.unreachable(number)
            case .failed(let number): liveness.failed(number)
            case .unansweredFor(let wait): isNews = liveness.unanswered(since: now - wait)
            }
            let after = liveness.staleSince != nil
            if let isNews { #expect(isNews == (before != after)) } else { #expect(before == after) }
            return after
        }
    }

    @Test func whatCameByAnotherWayCountsFromThenOn() {
        var liveness = Liveness(heard: nil)
        #expect(!liveness.wasHeard(at: start + .seconds(5)) && liveness.heard == start + .seconds(5))
        #expect(!liveness.mayBeAsked(at: start + .seconds(12)) && liveness.mayBeAsked(at: start + .seconds(13)))
        // Older news changes nothing.
        #expect(!liveness.wasHeard(at: start + .seconds(3)) && liveness.heard == start + .seconds(5))
        liveness.asked(1, at: start + .seconds(20))
        liveness.late()
        #expect(liveness.judged(isOurPathUp: true) && liveness.staleSince != nil)
        // What came before the question is no answer to it.
        #expect(!liveness.wasHeard(at: start + .seconds(19)) && liveness.staleSince != nil)
        #expect(liveness.wasHeard(at: start + .seconds(21)) && liveness.staleSince == nil)
    }

    @Test func itsServersWordIsBelievedUntilAQuestionIsNotAnswered() {
        #expect(states([(100, .judged), (100, .ask(1)), (104, .judged), (105, .late), (105, .judged)], heard: false) == [
            false, false, false, false, true,
        ])
    }

    @Test func aSilenceThatMayBeOursSaysNothing() {
        #expect(states([(10, .ask(1)), (15, .late), (20, .excused)]) == [false, false, false])
        // What was known before stays.
        #expect(states([(10, .ask(1)), (15, .late), (15, .judged), (18, .ask(2)), (23, .late), (28, .excused)]).last == true)
    }

    @Test func anAnswerInTimeKeepsItOnline() {
        #expect(states([(10, .ask(1)), (11, .answered(.seconds(1))), (15, .late), (40, .judged)]) == [false, false, false, false])
        #expect(states([(10, .ask(1)), (15, .late), (15.1, .answered(.seconds(5.1))), (15.2, .judged)]).allSatisfy { !$0 })
    }

    @Test func anythingElseThatCameMeanwhileIsAsGoodAsAnAnswer() {
        #expect(states([(10, .ask(1)), (11, .heard), (15, .late), (15, .judged)]).allSatisfy { !$0 })
        // What came before the question says nothing.
        #expect(states([(9, .heard), (10, .ask(1)), (15, .late), (15, .judged)]) == [false, false, false, true])
    }

    @Test func whateverComesLaterBringsItBack() {
        #expect(states([(10, .ask(1)), (15, .late), (15, .judged), (60, .heard)]) == [false, false, true, false])
        #expect(states([(10, .ask(1)), (15, .late), (15, .judged), (17, .answered(.seconds(7)))]) == [false, false, true, false])
    }

    @Test func aServerThatSaysThatItIsNotThereIsBelievedAtOnce() {
        #expect(states([(10, .ask(1)), (10.1, .unreachable(1))]) == [false, true])
        // Of another question: a newer one is under way.
        #expect(states([(10, .ask(1)), (15, .late), (15, .judged), (16, .heard), (24, .ask(2)), (25, .unreachable(1))]).last == false)
        // It spoke itself after the question.
        #expect(states([(10, .ask(1)), (10.1, .heard), (10.2, .unreachable(1))]).last == false)
    }

    @Test func aQuestionThatFailedForAReasonOfOursSaysNothing() {
        #expect(states([(10, .ask(1)), (11, .failed(1)), (60, .late), (60, .judged)]).allSatisfy { !$0 })
    }

    @Test func aRequestForATunnelThatIsNotAnsweredCountsUnlessSomethingCame() {
        #expect(states([(30, .unansweredFor(.seconds(20)))]) == [true])
        #expect(states([(15, .heard), (30, .unansweredFor(.seconds(20)))]) == [false, false])
        #expect(states([(30, .unansweredFor(.seconds(20))), (31, .answered(.milliseconds(1)))]) == [true, false])
    }

    @Test func theFirstSilenceIsSinceWhenItIsStale() {
        var liveness = Liveness(heard: start)
        liveness.asked(1, at: start + .seconds(10))
        liveness.late()
        #expect(liveness.isLate && liveness.due == nil && liveness.judged(isOurPathUp: true) && !liveness.isLate)
        liveness.asked(2, at: start + .seconds(20))
        #expect(liveness.due == start + .seconds(25))
        liveness.late()
        #expect(liveness.judged(isOurPathUp: true) == false)
        #expect(liveness.staleSince == start + .seconds(10))
    }

    @Test(arguments: [
        ([], .seconds(5)), ([.milliseconds(2)], .seconds(2)), ([.milliseconds(600)], .milliseconds(2_400)), ([.seconds(2)], .seconds(8)),
        ([.seconds(9)], .seconds(10)), ([.seconds(2), .milliseconds(2), .milliseconds(3)], .seconds(8)),
        ([.seconds(2)] + Array(repeating: .milliseconds(2), count: 8), .seconds(2)),
    ] as [([Duration], Duration)])
    func itsPatienceFollowsTheSlowestOfTheLastAnswers(_ roundTrips: [Duration], _ expected: Duration) {
        var liveness = Liveness(heard: nil)
        for roundTrip in roundTrips { _ = liveness.answered(in: roundTrip, at: start) }
        #expect(liveness.patience == expected && liveness.roundTrip == roundTrips.last)
    }

    @Test func itIsAskedAtOnceIfNeverHeardThenEightSecondsAfterItLastWas() {
        func mayBeAsked(_ liveness: Liveness) -> [Double] {
            [0, 4, 7.9, 8, 12, 20].filter { liveness.mayBeAsked(at: start + .seconds($0)) }
        }
        #expect(mayBeAsked(Liveness(heard: nil)) == [0, 4, 7.9, 8, 12, 20])
        #expect(mayBeAsked(Liveness(heard: start)) == [8, 12, 20])
        var asked = Liveness(heard: nil)
        asked.asked(1, at: start)
        #expect(mayBeAsked(asked).isEmpty)
        asked.late()
        #expect(mayBeAsked(asked).isEmpty)
        _ = asked.judged(isOurPathUp: true)
        #expect(mayBeAsked(asked) == [8, 12, 20])
        var failed = Liveness(heard: nil)
        failed.asked(1, at: start)
        failed.failed(1)
        #expect(mayBeAsked(failed) == [8, 12, 20])
        _ = failed.answered(in: .seconds(1), at: start + .seconds(4))
        #expect(mayBeAsked(failed) == [12, 20])
    }
}
