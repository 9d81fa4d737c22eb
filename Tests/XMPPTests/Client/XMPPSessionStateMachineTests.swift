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

    private static let place = StreamEnd.Place(domain: "mesh.test", server: .init(host: "xmpp.mesh.test", port: 5222))

    private static func refusal(_ condition: String, temporary: Bool = false) -> LoginRecord {
        LoginRecord(mechanisms: ["SCRAM-SHA-1"], loginRefusal: .init(condition: condition, isTemporary: temporary))
    }

    private static let early = CertificateFault(reason: "certificate is not yet valid", validFrom: "Nov 30")
    private static let selfMade = CertificateFault(reason: "self-signed certificate", issuer: "CN=x")

    /// What an end means for an attempt that came so far: the code of the error, and whether a person is needed before it can go well.
    @Test(arguments: [
        (StreamEnd(error: -1), Machine.Progress.started, XMPPError.Code.unreachable, false),
        (StreamEnd(login: LoginRecord(systemError: 111)), .started, .unreachable, false),
        (StreamEnd(error: 0), .reached, .unreachable, false),
        (StreamEnd(error: 103, certificateFault: selfMade), .reached, .certificate, true),
        (StreamEnd(error: 103, certificateFault: early), .reached, .certificate, false),
        (StreamEnd(error: 1), .secured, .unreachable, false),
        (StreamEnd(error: 0), .secured, .unreachable, false),
        (StreamEnd(error: 0, login: refusal("not-authorized")), .secured, .notAuthorized, true),
        (StreamEnd(error: 1, login: refusal("account-disabled")), .secured, .notAuthorized, true),
        (StreamEnd(error: 0, login: refusal("temporary-auth-failure", temporary: true)), .secured, .unreachable, false),
        (StreamEnd(error: 0, login: LoginRecord(mechanisms: ["PLAIN"])), .secured, .notAuthorized, true),
        (StreamEnd(error: 0, login: LoginRecord(mechanisms: ["GSSAPI"])), .secured, .notAuthorized, true),
        (StreamEnd(login: LoginRecord(bindRefusal: .init(condition: "not-allowed"))), .secured, .unreachable, true),
        (StreamEnd(login: LoginRecord(bindRefusal: .init(condition: "conflict", isTemporary: true))), .secured, .unreachable, false),
        (StreamEnd(error: 0, streamError: "system-shutdown"), .secured, .unreachable, false),
        (StreamEnd(error: 0, streamError: "host-unknown"), .reached, .unreachable, false),
        (StreamEnd(error: 0, streamError: "policy-violation"), .reached, .notAuthorized, true),
        (StreamEnd(error: 0, streamError: "see-other-host"), .secured, .unreachable, false),
        (StreamEnd(localFault: "there is no password file"), .started, .configuration, true),
    ] as [(StreamEnd, Machine.Progress, XMPPError.Code, Bool)])
    func endOfAnAttempt(_ end: StreamEnd, _ progress: Machine.Progress, code: XMPPError.Code, person: Bool) {
        var machine = Self.connecting(progress)
        guard case .wait(let pause, let error, let needsPerson) = machine.ended(end, at: Self.place, now: Self.zero, chance: 0.5) else {
            Issue.record("gave up")
            return
        }
        #expect(error.code == code && needsPerson == person, "\(error)")
        #expect(pause == (person ? .seconds(60) : .seconds(1)))
        #expect(machine.ticked(now: .distantFuture) == .connect)
    }

    private static func pause(_ machine: inout Machine, _ end: StreamEnd, at seconds: Int64 = 0, chance: Double = 0.5) -> Double {
        guard case .wait(let pause, _, _) = machine.ended(end, at: place, now: at(seconds), chance: chance) else { return -1 }
        return pause / .seconds(1)
    }

    @Test func pausesGrowToAMinuteWithJitter() {
        var machine = Self.connecting()
        for expected in [1.0, 2, 4, 8, 16, 32, 60, 60] {
            for chance in [0.0, 0.5, 0.999] {
                var copy = machine
                #expect(abs(Self.pause(&copy, StreamEnd(error: 1), chance: chance) - expected * (0.75 + 0.5 * chance)) < 0.001)
            }
            #expect(Self.pause(&machine, StreamEnd(error: 1)) == expected)
            #expect(machine.ticked(now: Self.zero) == .nothing)
            #expect(machine.ticked(now: .distantFuture) == .connect)
            #expect(machine.ticked(now: .distantFuture) == .nothing)
        }
    }

    @Test func pausesOfARefusedAccountGrowToAQuarterOfAnHour() {
        var machine = Self.connecting(.secured)
        for expected in [60.0, 120, 240, 480, 900, 900] {
            #expect(Self.pause(&machine, StreamEnd(login: Self.refusal("not-authorized"))) == expected)
            #expect(machine.ticked(now: .distantFuture) == .connect)
            machine.progressed(to: .secured)
        }
        // Six attempts in the first hour, each with three mechanisms at most: fewer than servers count before they ban.
    }

    @Test func encouragementEndsAPause() {
        var machine = Machine()
        let early = machine.encouraged(now: Self.zero)
        #expect(!early)
        machine = Self.connecting(.secured)
        _ = Self.pause(&machine, StreamEnd(login: Self.refusal("not-authorized")))
        #expect(machine.ticked(now: Self.at(2)) == .nothing)
        let taken = machine.encouraged(now: Self.at(2))
        #expect(taken)
        #expect(machine.ticked(now: Self.at(2)) == .connect)
    }

    /// A password that is mended while the server still judges the old one.
    @Test func encouragementDuringAnAttemptMakesThePauseAfterItShort() {
        var machine = Self.connecting(.secured)
        let hadPause = machine.encouraged(now: Self.zero)
        #expect(!hadPause)
        #expect(Self.pause(&machine, StreamEnd(login: Self.refusal("not-authorized"))) == 1)
        #expect(machine.ticked(now: .distantFuture) == .connect)
        machine.progressed(to: .secured)
        // The next attempt has read what is there now, and its refusal counts as the first.
        #expect(Self.pause(&machine, StreamEnd(login: Self.refusal("not-authorized"))) == 60)
        // One that goes well has nothing left to be encouraged about.
        #expect(machine.ticked(now: .distantFuture) == .connect)
        _ = machine.encouraged(now: Self.zero)
        _ = machine.opened(now: Self.zero)
        _ = machine.loaded()
        #expect(Self.pause(&machine, StreamEnd(streamError: "conflict"), at: 60) == 60)
    }

    @Test func loginEndsTheBackOff() {
        var machine = Self.connecting()
        for _ in 0..<6 {
            _ = Self.pause(&machine, StreamEnd(error: 1))
            _ = machine.ticked(now: .distantFuture)
        }
        _ = machine.opened(now: Self.at(100))
        _ = machine.loaded()
        #expect(Self.pause(&machine, StreamEnd(error: 1), at: 130) == 1)
    }

    @Test func streamsThatEndAtOnceBringTheBackOffBack() {
        var machine = Self.connecting()
        for (turn, expected) in [1.0, 1, 2, 4, 8].enumerated() {
            let now = Int64(turn) * 100
            _ = machine.opened(now: Self.at(now))
            _ = machine.loaded()
            #expect(Self.pause(&machine, StreamEnd(error: 1), at: now + 2) == expected)
            _ = machine.ticked(now: .distantFuture)
        }
        _ = machine.opened(now: Self.at(1000))
        _ = machine.loaded()
        #expect(Self.pause(&machine, StreamEnd(error: 1), at: 1010) == 1)
    }

    @Test func otherHostsAreFollowedAFewTimes() {
        var machine = Self.connecting()
        let end = StreamEnd(streamError: "see-other-host", otherHost: "[2001:db8::1]:5333")
        for _ in 0..<3 {
            guard case .follow(let server, _) = machine.ended(end, at: Self.place, now: Self.zero, chance: 0.5) else {
                Issue.record("not followed")
                return
            }
            #expect(server == .init(host: "2001:db8::1", port: 5333))
        }
        #expect(Self.pause(&machine, end) == 1)
        // The next attempt begins at home, with a trail of its own.
        #expect(machine.ticked(now: .distantFuture) == .connect)
        guard case .follow = machine.ended(end, at: Self.place, now: Self.zero, chance: 0.5) else {
            Issue.record("not followed after a pause")
            return
        }
    }

    /// A cluster that takes each login and sends the account on at once is not asked again and again without a pause.
    @Test func otherHostsAfterALoginAreFollowedAFewTimesToo() {
        var machine = Self.online()
        let end = StreamEnd(streamError: "see-other-host", otherHost: "other.mesh.test")
        func follows(from since: Int64, at now: Int64) -> Bool {
            guard case .follow = machine.ended(end, at: Self.place, now: Self.at(now), chance: 0.5) else { return false }
            _ = machine.opened(now: Self.at(since))
            _ = machine.loaded()
            return true
        }
        for expected in [4.0, 60] {
            for _ in 0..<3 {
                let isFollowed = follows(from: 0, at: 1)
                #expect(isFollowed)
            }
            #expect(Self.pause(&machine, end, at: 1) == expected)
            #expect(machine.ticked(now: .distantFuture) == .connect)
            _ = machine.opened(now: Self.zero)
            _ = machine.loaded()
        }
        // A host that goes for repair sends on what has been there for long: as often as that happens.
        for hour in 1..<8 {
            let isFollowed = follows(from: Int64(hour) * 3600, at: Int64(hour) * 3600 - 60)
            #expect(isFollowed)
        }
    }

    @Test(arguments: [
        ("xmpp.lab", "xmpp.lab:5222"), ("xmpp.lab:5223", "xmpp.lab:5223"), ("2001:db8::1", "2001:db8::1:5222"),
        ("[2001:db8::1]", "2001:db8::1:5222"), ("[2001:db8::1]:1", "2001:db8::1:1"), ("", nil), ("a:0", nil), ("a:70000", nil),
        ("a b", nil), ("a/b", nil), ("[::1]x", nil), ("u@h", nil), ("h:", nil),
    ] as [(String, String?)])
    func readsOtherHosts(_ text: String, _ expected: String?) {
        #expect(XMPPConfiguration.Server(written: text, port: 5222).map { "\($0.host):\($0.port)" } == expected)
    }

    @Test func conflictIsNotFoughtOver() {
        var machine = Self.online()
        guard case .wait(let pause, let error, false) = machine.ended(
            StreamEnd(error: 0, streamError: "conflict"), at: Self.place, now: Self.at(5), chance: 0.1)
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
        guard case .wait(_, let error, false) = machine.ended(StreamEnd(error: 0), at: Self.place, now: Self.at(1), chance: 0) else {
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
        guard case .stop = attempt.ended(StreamEnd(login: Self.refusal("aborted")), at: Self.place, now: Self.zero, chance: 0) else {
            Issue.record("did not stop")
            return
        }

        var online = Self.online()
        #expect(online.shutdown() == .close)
        #expect(online.shutdown() == .nothing)
        guard case .stop = online.ended(StreamEnd(error: 0), at: Self.place, now: Self.zero, chance: 0) else {
            Issue.record("did not stop")
            return
        }

        var waiting = Self.connecting()
        _ = waiting.ended(StreamEnd(error: 1), at: Self.place, now: Self.zero, chance: 0)
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
}
