import NIOCore
import Testing

@testable import XMPP

struct XMPPSessionStateMachineTests {
    typealias Machine = XMPPSessionStateMachine
    private static let zero = NIODeadline.uptimeNanoseconds(0)

    private static func at(_ seconds: Int64) -> NIODeadline { zero + .seconds(seconds) }

    private static func connecting(_ progress: Machine.Progress = .started) -> Machine {
        var machine = Machine()
        _ = machine.started()
        machine.progressed(to: progress)
        return machine
    }

    private static func online(since seconds: Int64 = 0) -> Machine {
        var machine = connecting(.secured)
        _ = machine.opened(now: at(seconds))
        _ = machine.loaded()
        return machine
    }

    /// What an end means for an attempt that came so far: the code of the error, and whether it is tried again.
    @Test(arguments: [
        (StreamEnd(error: -1), Machine.Progress.started, XMPPError.Code.unreachable, true),
        (StreamEnd(error: 111), .started, .unreachable, true),
        (StreamEnd(error: 0), .started, .unreachable, true),
        (StreamEnd(error: 0), .reached, .unreachable, true),
        (StreamEnd(error: 103, certificateFault: "self-signed"), .reached, .certificate, false),
        (StreamEnd(error: 1), .secured, .unreachable, true),
        // The library's only sign of a wrong password.
        (StreamEnd(error: 0), .secured, .notAuthorized, false),
        (StreamEnd(error: 0, saslFailure: "not-authorized"), .secured, .notAuthorized, false),
        (StreamEnd(error: 1, saslFailure: "account-disabled"), .secured, .notAuthorized, false),
        (StreamEnd(error: 0, saslFailure: "temporary-auth-failure"), .secured, .unreachable, true),
        (StreamEnd(error: 0, streamError: "system-shutdown"), .secured, .unreachable, true),
        (StreamEnd(error: 0, streamError: "host-unknown"), .reached, .configuration, false),
        (StreamEnd(error: 0, streamError: "see-other-host"), .secured, .configuration, false),
    ] as [(StreamEnd, Machine.Progress, XMPPError.Code, Bool)])
    func endOfAnAttempt(_ end: StreamEnd, _ progress: Machine.Progress, code: XMPPError.Code, again: Bool) {
        var machine = Self.connecting(progress)
        switch machine.ended(end, now: Self.zero, chance: 0.5) {
        case .wait(_, let error):
            #expect(again && error.code == code, "\(error)")
        case .stop(let error):
            #expect(!again && error?.code == code, "\(String(describing: error))")
            #expect(machine.ticked(now: .distantFuture) == .nothing)
        }
    }

    @Test func pausesGrowToFiveMinutesWithJitter() {
        var machine = Self.connecting()
        var now = Self.zero
        for expected in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            for chance in [0.0, 0.5, 0.999] {
                var copy = machine
                guard case .wait(let pause, _) = copy.ended(StreamEnd(error: 1), now: now, chance: chance) else {
                    Issue.record("gave up")
                    return
                }
                let factor = 0.75 + 0.5 * chance
                #expect(abs(pause / .seconds(1) - Double(expected) * factor) < 0.001)
            }
            _ = machine.ended(StreamEnd(error: 1), now: now, chance: 0.5)
            #expect(machine.ticked(now: now) == .nothing)
            now = now + .seconds(Int64(expected))
            #expect(machine.ticked(now: now) == .connect)
            #expect(machine.ticked(now: now) == .nothing)
        }
    }

    @Test(arguments: [(59, 2.0), (60, 1.0)])
    func stableStreamBeginsAnew(_ lasted: Int64, _ next: Double) {
        var machine = Self.connecting()
        _ = machine.ended(StreamEnd(error: 1), now: Self.zero, chance: 0.5)
        _ = machine.ticked(now: Self.at(1))
        #expect(machine.opened(now: Self.at(1)) == true)
        #expect(machine.loaded() == true)
        guard case .wait(let pause, let error) = machine.ended(StreamEnd(error: 1), now: Self.at(1 + lasted), chance: 0.5)
        else {
            Issue.record("gave up")
            return
        }
        #expect(pause == .seconds(next))
        #expect(error.code == .connectionLost)
    }

    @Test func conflictIsNotFoughtOver() {
        var machine = Self.online()
        guard case .wait(let pause, let error) = machine.ended(
            StreamEnd(error: 0, streamError: "conflict"), now: Self.at(5), chance: 0.1)
        else {
            Issue.record("gave up")
            return
        }
        #expect(pause == .seconds(60))
        #expect(error.code == .conflict)
    }

    @Test func authenticationErrorsAfterLoginAreLosses() {
        // A stream that stood was authorised: whatever ends it, trying again is right.
        var machine = Self.online()
        guard case .wait(_, let error) = machine.ended(StreamEnd(error: 0), now: Self.at(1), chance: 0) else {
            Issue.record("gave up")
            return
        }
        #expect(error.code == .connectionLost)
    }

    @Test func shutdownFromEveryState() {
        var idle = Machine()
        #expect(idle.shutdown() == .stop)
        let started = idle.started()
        #expect(!started)

        var attempt = Self.connecting(.reached)
        #expect(attempt.shutdown() == .abort)
        guard case .stop(nil) = attempt.ended(StreamEnd(error: 0, saslFailure: "aborted"), now: Self.zero, chance: 0) else {
            Issue.record("did not stop")
            return
        }

        var online = Self.online()
        #expect(online.shutdown() == .close)
        #expect(online.shutdown() == .nothing)
        guard case .stop(nil) = online.ended(StreamEnd(error: 0), now: Self.zero, chance: 0) else {
            Issue.record("did not stop")
            return
        }

        var waiting = Self.connecting()
        _ = waiting.ended(StreamEnd(error: 1), now: Self.zero, chance: 0)
        #expect(waiting.shutdown() == .stop)
        #expect(waiting.ticked(now: .distantFuture) == .nothing)
    }

    @Test func loginThatComesTooLateIsNotUsed() {
        var machine = Self.connecting(.secured)
        _ = machine.shutdown()
        let opened = machine.opened(now: Self.zero)
        #expect(!opened)
        let loaded = machine.loaded()
        #expect(!loaded)
    }

    @Test func startsOnce() {
        var machine = Machine()
        let first = machine.started()
        let second = machine.started()
        #expect(first && !second)
    }

    @Test(arguments: [
        ("RECV: <failure xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\"><not-authorized/></failure>", "not-authorized"),
        (
            "RECV: <failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><text>no</text><account-disabled/></failure>",
            "account-disabled"
        ),
        ("RECV: <failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>", nil),
    ] as [(String, String?)])
    func readsLoginFailures(_ line: String, _ condition: String?) {
        #expect(StropheLogRecord.condition(in: line) == condition)
    }
}
