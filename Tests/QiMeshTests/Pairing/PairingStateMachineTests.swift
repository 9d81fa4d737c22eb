import QiMessaging
import Testing

@testable import QiMesh

@Suite struct PairingStateMachineTests {
    private let start = ContinuousClock.now

    private func machine(deadline: Duration = .seconds(600)) -> PairingStateMachine {
        PairingStateMachine(deadline: start + deadline)
    }

    @Test func theShortWay() {
        var machine = machine()
        #expect(machine.started() == .ask)
        #expect(machine.answered(.accepted(isContact: false), isMutual: false, now: start) == .pin)
        #expect(machine.looked(isMutual: true, now: start) == .ask)
        #expect(machine.answered(.accepted(isContact: true), isMutual: true, now: start) == .finish)
    }

    /// A device that paired before, or one of an older version, which does not say.
    @Test func aContactOfBeforeIsOneAtOnce() {
        var machine = machine()
        #expect(machine.started() == .ask)
        #expect(machine.answered(.accepted(isContact: true), isMutual: false, now: start) == .pin)
        #expect(machine.looked(isMutual: true, now: start) == .finish)
    }

    /// Our server may call it a contact from before when the other one does not any more.
    @Test func bothSidesHaveToSeeTheOther() {
        var machine = machine()
        _ = machine.started()
        _ = machine.answered(.accepted(isContact: false), isMutual: true, now: start)
        #expect(machine.looked(isMutual: true, now: start) == .ask)
        #expect(machine.answered(.accepted(isContact: false), isMutual: true, now: start) == .awaitContact(.seconds(5)))
        #expect(machine.looked(isMutual: true, now: start + .seconds(5)) == .subscribe)
        #expect(machine.subscribed() == .ask)
        #expect(machine.answered(.silent("it is offline"), isMutual: true, now: start + .seconds(5)) == .awaitContact(.seconds(10)))
        #expect(machine.looked(isMutual: true, now: start + .seconds(15)) == .subscribe)
        #expect(machine.subscribed() == .ask)
        #expect(machine.answered(.accepted(isContact: true), isMutual: true, now: start + .seconds(15)) == .finish)
    }

    @Test func aTokenThatIsTakenBackMeanwhileIsRefused() {
        var machine = machine()
        _ = machine.started()
        _ = machine.answered(.accepted(isContact: false), isMutual: false, now: start)
        #expect(machine.looked(isMutual: true, now: start) == .ask)
        #expect(machine.answered(.refused(.used), isMutual: true, now: start) == .fail(.refused(.used)))
    }

    @Test func asksAgainWithGrowingPausesUntilTheDeadline() {
        var machine = machine(deadline: .seconds(60))
        #expect(machine.started() == .ask)
        var now = start
        var pauses: [Duration] = []
        while true {
            let action = machine.answered(.silent("it is offline"), isMutual: false, now: now)
            guard case .pause(let pause) = action else {
                #expect(action == .fail(.unanswered("it is offline")))
                break
            }
            pauses.append(pause)
            now += pause
            let next = machine.paused(now: now)
            if next != .ask {
                #expect(next == .fail(.unanswered("it is offline")))
                break
            }
        }
        // The last one ends at the deadline.
        #expect(pauses == [1, 2, 4, 8, 15, 15, 15].map { .seconds($0) })
        #expect(now == start + .seconds(60))
        #expect(machine.paused(now: now) == .finish)
    }

    @Test func aDeviceThatComesBackIsHeard() {
        var machine = machine()
        _ = machine.started()
        #expect(machine.answered(.silent("it is offline"), isMutual: false, now: start) == .pause(.seconds(1)))
        #expect(machine.trouble == "it is offline")
        #expect(machine.paused(now: start + .seconds(1)) == .ask)
        #expect(machine.answered(.accepted(isContact: false), isMutual: false, now: start + .seconds(2)) == .pin)
    }

    @Test func refusalsAreFinal() {
        for refusal in PairingRefusal.allCases {
            var machine = machine()
            _ = machine.started()
            #expect(machine.answered(.refused(refusal), isMutual: false, now: start) == .fail(.refused(refusal)))
            #expect(machine.answered(.accepted(isContact: false), isMutual: false, now: start) == .finish)
            let error = PairingFailure.refused(refusal).error(of: "pepper@mesh.test")
            #expect(error.code == .denied)
            #expect(error.hint?.contains("pepper@mesh.test") == true)
        }
    }

    @Test func aForgedAnswerIsNoAnswer() {
        var machine = machine()
        _ = machine.started()
        #expect(machine.answered(.forged, isMutual: false, now: start) == .fail(.forged))
        #expect(PairingFailure.forged.error(of: "pepper").code == .denied)
        #expect(PairingFailure.unanswered("").error(of: "pepper").code == .offline)
        #expect(PairingFailure.noContact.error(of: "pepper").code == .timedOut)
    }

    /// Servers count them.
    @Test func subscribesAgainSeldom() {
        var machine = machine(deadline: .seconds(120))
        _ = machine.started()
        _ = machine.answered(.accepted(isContact: false), isMutual: false, now: start)
        var now = start
        var subscriptions: [ContinuousClock.Instant] = []
        var action = machine.looked(isMutual: false, now: now)
        loop: while true {
            switch action {
            case .awaitContact(let wait):
                now += wait
                action = machine.looked(isMutual: false, now: now)
            case .subscribe:
                subscriptions.append(now)
                #expect(machine.subscribed() == .ask)
                action = machine.answered(.accepted(isContact: false), isMutual: false, now: now)
            default: break loop
            }
        }
        #expect(action == .fail(.noContact))
        #expect(subscriptions.count >= 3)
        for (earlier, later) in zip(subscriptions, subscriptions.dropFirst()) { #expect(later - earlier >= .seconds(10)) }
        #expect(now >= start + .seconds(120))
    }

    /// The token is taken at the last moment: the servers still get a little time.
    @Test func theContactGetsTimeAfterTheDeadline() {
        var machine = machine(deadline: .seconds(1))
        _ = machine.started()
        let late = start + .seconds(2)
        #expect(machine.answered(.accepted(isContact: false), isMutual: false, now: late) == .pin)
        #expect(machine.looked(isMutual: false, now: late) == .awaitContact(.seconds(5)))
        #expect(machine.looked(isMutual: true, now: late + .seconds(5)) == .ask)
        #expect(machine.answered(.accepted(isContact: true), isMutual: true, now: late + .seconds(5)) == .finish)
    }

    @Test func eventsOutOfTurnDoNothing() {
        var machine = machine()
        #expect(machine.paused(now: start) == .finish)
        #expect(machine.answered(.accepted(isContact: false), isMutual: false, now: start) == .finish)
        #expect(machine.looked(isMutual: false, now: start) == .finish)
        #expect(machine.subscribed() == .finish)
        #expect(machine.started() == .ask)
        #expect(machine.started() == .finish)
    }
}
