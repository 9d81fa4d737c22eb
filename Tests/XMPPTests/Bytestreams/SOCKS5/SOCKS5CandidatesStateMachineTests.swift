import NIOCore
import Testing

@testable import XMPP

/// How two sides agree on a candidate (XEP-0260 §2.3, §2.4): events and actions, no sockets.
@Suite struct SOCKS5CandidatesStateMachineTests {
    private typealias Machine = SOCKS5CandidatesStateMachine
    private typealias Advance = SOCKS5CandidatesStateMachine.OnAdvance

    private static let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    private static func candidate(_ cid: String, _ priority: UInt32, _ kind: SOCKS5Candidate.Kind = .direct) throws -> SOCKS5Candidate {
        let jid = try #require(JID("x@mesh.test/y"))
        var candidate = SOCKS5Candidate(cid: cid, kind, host: "192.0.2.1", port: 1, jid: jid, rank: 0)
        candidate.priority = priority
        return candidate
    }

    /// A machine that has one of each of ours, and dials those of theirs.
    private static func machine(
        isInitiator: Bool = true, theirs: [SOCKS5Candidate], limits: Machine.Limits = .init()
    ) throws -> Machine {
        var machine = Machine(
            isInitiator: isInitiator, ours: [try candidate("ours", 1000), try candidate("our proxy", 10, .proxy)], limits: limits)
        check(machine.started(theirs), true)
        return machine
    }

    private static func after(_ milliseconds: Int64) -> NIODeadline { start + .milliseconds(milliseconds) }

    // MARK: Dialling

    @Test func bestIsDialledFirstAndTheOthersAreStaggered() throws {
        let (low, high, proxy) = (try Self.candidate("low", 500), try Self.candidate("high", 900), try Self.candidate("p", 20, .proxy))
        var machine = try Self.machine(theirs: [low, proxy, high])
        check(machine.advance(now: Self.start), Advance(dials: [high], wake: Self.after(200)))
        check(machine.advance(now: Self.after(100)), Advance(wake: Self.after(200)))
        check(machine.advance(now: Self.after(200)), Advance(dials: [low], wake: Self.after(800)))
        check(machine.advance(now: Self.after(800)), Advance(dials: [proxy]))
        check(machine.advance(now: Self.after(900)), Advance())
    }

    @Test func nextIsDialledAtOnceWhenAllBeforeItHaveFailed() throws {
        let (high, proxy) = (try Self.candidate("high", 900), try Self.candidate("p", 20, .proxy))
        var machine = try Self.machine(theirs: [high, proxy])
        check(machine.advance(now: Self.start).dials, [high])
        machine.dialFailed(cid: "high", "refused")
        check(machine.advance(now: Self.after(1)), Advance(dials: [proxy]))
    }

    @Test func noMoreThanFourAreDialledAtOneTimeAndNoMoreThanEightInAll() throws {
        let theirs = try (0..<12).map { try Self.candidate("c\($0)", UInt32(100 - $0)) }
        var machine = try Self.machine(theirs: theirs)
        var dialled: [String] = []
        var time = Self.start
        for _ in 0..<10 {
            dialled += machine.advance(now: time).dials.map(\.cid)
            time = time + .milliseconds(200)
        }
        #expect(dialled == ["c0", "c1", "c2", "c3"])
        for cid in dialled { machine.dialFailed(cid: cid, "refused") }
        for _ in 0..<10 {
            dialled += machine.advance(now: time).dials.map(\.cid)
            time = time + .milliseconds(200)
        }
        #expect(dialled == (0..<8).map { "c\($0)" })
        for cid in dialled { machine.dialFailed(cid: cid, "refused") }
        check(machine.advance(now: time), Advance(tellsFailure: true))
    }

    @Test func failureIsToldOnceAtOnceWhenNothingIsOffered() throws {
        var machine = try Self.machine(theirs: [])
        check(machine.advance(now: Self.start), Advance(tellsFailure: true))
        check(machine.advance(now: Self.start), Advance())
        check(machine.started([]), false)
    }

    @Test func firstConnectionCountsAndTheOthersAreGivenUp() throws {
        let theirs = [try Self.candidate("a", 900), try Self.candidate("b", 800), try Self.candidate("c", 700)]
        var machine = try Self.machine(theirs: theirs)
        check(machine.advance(now: Self.start).dials.map(\.cid), ["a"])
        check(machine.advance(now: Self.after(200)).dials.map(\.cid), ["b"])
        check(machine.dialled(cid: "b"), .tell(theirs[1]))
        check(machine.takeAbandoned(), ["a"])
        check(machine.takeAbandoned(), [])
        check(machine.dialled(cid: "a"), .close)
        check(machine.advance(now: Self.after(400)), Advance())
        check(machine.dialled(cid: "never offered"), .close)
    }

    @Test func candidatesOfTheSameIDCountOnce() throws {
        let theirs = [try Self.candidate("a", 900), try Self.candidate("a", 800)]
        var machine = try Self.machine(theirs: theirs)
        check(machine.advance(now: Self.start), Advance(dials: [theirs[0]]))
        machine.dialFailed(cid: "a", "refused")
        check(machine.advance(now: Self.start).tellsFailure, true)
    }

    // MARK: Who wins

    private struct Row: CustomTestStringConvertible {
        let name: String
        var isInitiator = true
        /// Priority of the candidate of theirs that we reach; nil when none.
        var reached: UInt32?
        /// Which of ours the peer says it has reached; nil when none.
        var used: String?
        var arrived = true
        let nomination: String?
        var testDescription: String { name }
    }

    private static func name(_ nomination: Machine.OnNomination?) -> String? {
        switch nomination {
        case .useDialled(let candidate): "dialled \(candidate.cid)"
        case .useArrived(let candidate): "arrived \(candidate.cid)"
        case .join(let candidate): "join \(candidate.cid)"
        case .useJoined(let candidate): "joined \(candidate.cid)"
        case .fail: "fail"
        case nil: nil
        }
    }

    @Test(arguments: [true, false], [
        Row(name: "neither", nomination: "fail"),
        Row(name: "only we", reached: 5, nomination: "dialled theirs"),
        Row(name: "only the peer", used: "ours", nomination: "arrived ours"),
        Row(name: "only the peer, its connection late", used: "ours", arrived: false, nomination: nil),
        Row(name: "only the peer, our proxy", used: "our proxy", nomination: "join our proxy"),
        Row(name: "both, ours is higher", reached: 999, used: "ours", nomination: "arrived ours"),
        Row(name: "both, theirs is higher", reached: 1001, used: "ours", nomination: "dialled theirs"),
        Row(name: "both, equal, we began", reached: 1000, used: "ours", nomination: "dialled theirs"),
        Row(name: "both, equal, the peer began", isInitiator: false, reached: 1000, used: "ours", nomination: "arrived ours"),
    ]) private func bothSidesComeToTheSameEnd(_ weSpeakFirst: Bool, _ row: Row) throws {
        let theirs = try row.reached.map { try Self.candidate("theirs", $0) }
        var machine = try Self.machine(isInitiator: row.isInitiator, theirs: theirs.map { [$0] } ?? [])
        if row.arrived, row.used == "ours" { machine.connectionArrived(cid: "ours") }
        let peer = { (machine: inout Machine) in
            check(row.used.map { machine.peerUsed(cid: $0) } ?? machine.peerFailed(), .fine)
        }
        check(machine.advance(now: Self.start).dials, theirs.map { [$0] } ?? [])
        if !weSpeakFirst { peer(&machine) }
        if let theirs, !(row.used != nil && !weSpeakFirst && row.nomination == "arrived ours") {
            check(machine.dialled(cid: "theirs"), .tell(theirs))
        } else {
            // Given up, since the peer has reached a better one.
            check(machine.advance(now: Self.after(1)).tellsFailure, theirs != nil)
        }
        if weSpeakFirst { peer(&machine) }
        #expect(Self.name(machine.takeNomination()) == row.nomination)
        check(machine.takeNomination(), nil)
    }

    @Test func peersSuccessEndsOnlyDialsThatCannotWin() throws {
        let theirs = [try Self.candidate("better", 2000), try Self.candidate("equal", 1000), try Self.candidate("worse", 500)]
        for isInitiator in [true, false] {
            var machine = try Self.machine(isInitiator: isInitiator, theirs: theirs)
            for step in 0..<3 { _ = machine.advance(now: Self.after(Int64(step) * 200)) }
            check(machine.peerUsed(cid: "ours"), .fine)
            check(machine.takeAbandoned(), isInitiator ? ["worse"] : ["equal", "worse"])
            check(machine.takeNomination(), nil)
            machine.dialFailed(cid: "better", "refused")
            if isInitiator { machine.dialFailed(cid: "equal", "refused") }
            machine.connectionArrived(cid: "ours")
            check(machine.advance(now: Self.after(900)).tellsFailure, true)
            #expect(Self.name(machine.takeNomination()) == "arrived ours")
        }
    }

    @Test func connectionThatIsNotUsedIsClosed() throws {
        let theirs = try Self.candidate("theirs", 5)
        var machine = try Self.machine(theirs: [theirs])
        check(machine.advance(now: Self.start).dials, [theirs])
        check(machine.dialled(cid: "theirs"), .tell(theirs))
        machine.connectionArrived(cid: "ours")
        check(machine.peerUsed(cid: "ours"), .fine)
        check(machine.takeAbandoned(), ["theirs"])
        #expect(Self.name(machine.takeNomination()) == "arrived ours")
    }

    // MARK: Waiting for the other side

    @Test func connectionThatComesAfterTheWordOfItIsUsed() throws {
        var machine = try Self.machine(theirs: [])
        check(machine.advance(now: Self.start).tellsFailure, true)
        check(machine.peerUsed(cid: "ours"), .fine)
        check(machine.advance(now: Self.start), Advance(wake: Self.after(5000)))
        check(machine.takeNomination(), nil)
        machine.connectionArrived(cid: "ours")
        #expect(Self.name(machine.takeNomination()) == "arrived ours")
    }

    @Test func connectionThatNeverComesIsAFailure() throws {
        var machine = try Self.machine(theirs: [])
        check(machine.advance(now: Self.start).tellsFailure, true)
        check(machine.peerUsed(cid: "ours"), .fine)
        check(machine.advance(now: Self.start), Advance(wake: Self.after(5000)))
        check(machine.advance(now: Self.after(4999)), Advance(wake: Self.after(5000)))
        check(machine.advance(now: Self.after(5000)), Advance())
        #expect(Self.name(machine.takeNomination()) == "fail")
        #expect(machine.candidates.first?.reason == "the peer's connection did not arrive")
    }

    @Test(arguments: [true, false]) func theirProxyIsUsedOnceItIsActivated(_ isEarly: Bool) throws {
        let proxy = try Self.candidate("p", 20, .proxy)
        var machine = try Self.machine(theirs: [proxy])
        check(machine.advance(now: Self.start).dials, [proxy])
        check(machine.dialled(cid: "p"), .tell(proxy))
        if isEarly { check(machine.peerActivated(cid: "p"), .fine) }
        check(machine.peerFailed(), .fine)
        if !isEarly {
            check(machine.takeNomination(), nil)
            check(machine.advance(now: Self.start), Advance(wake: Self.after(5000)))
            check(machine.peerActivated(cid: "ours"), .unknownCandidate)
            check(machine.peerActivated(cid: "p"), .fine)
        }
        #expect(Self.name(machine.takeNomination()) == "dialled p")
        check(machine.peerActivated(cid: "p"), .outOfOrder)
    }

    @Test func proxyThatThePeerCannotUseOrDoesNotActivateIsAFailure() throws {
        for isTold in [true, false] {
            let proxy = try Self.candidate("p", 20, .proxy)
            var machine = try Self.machine(theirs: [proxy])
            _ = machine.advance(now: Self.start)
            check(machine.dialled(cid: "p"), .tell(proxy))
            check(machine.peerFailed(), .fine)
            check(machine.advance(now: Self.start).wake, Self.after(5000))
            if isTold { check(machine.peerProxyFailed(), .fine) } else { check(machine.advance(now: Self.after(5000)), Advance()) }
            #expect(Self.name(machine.takeNomination()) == "fail")
            if !isTold { check(machine.takeAbandoned(), ["p"]) }
            check(machine.peerProxyFailed(), .outOfOrder)
        }
    }

    @Test func ourProxyIsJoinedAndThenUsed() throws {
        var machine = try Self.machine(theirs: [])
        _ = machine.advance(now: Self.start)
        check(machine.peerUsed(cid: "our proxy"), .fine)
        #expect(Self.name(machine.takeNomination()) == "join our proxy")
        check(machine.takeNomination(), nil)
        check(machine.joined(), true)
        check(machine.joined(), false)
        #expect(Self.name(machine.takeNomination()) == "joined our proxy")
        check(machine.joinFailed("late"), false)
    }

    @Test func ourProxyThatCannotBeJoinedIsAFailureWithItsReason() throws {
        var machine = try Self.machine(theirs: [])
        _ = machine.advance(now: Self.start)
        check(machine.peerUsed(cid: "our proxy"), .fine)
        #expect(Self.name(machine.takeNomination()) == "join our proxy")
        check(machine.joinFailed("forbidden"), true)
        check(machine.joined(), false)
        #expect(Self.name(machine.takeNomination()) == "fail")
        #expect(machine.candidates.contains { $0.reason == "forbidden" })
    }

    // MARK: Disorder

    @Test func whatAPeerSaysOutOfOrderChangesNothing() throws {
        var machine = Machine(isInitiator: true, ours: [try Self.candidate("ours", 1000)])
        check(machine.peerUsed(cid: "ours"), .outOfOrder)
        check(machine.peerFailed(), .outOfOrder)
        check(machine.peerActivated(cid: "ours"), .outOfOrder)
        check(machine.peerProxyFailed(), .outOfOrder)
        check(machine.advance(now: Self.start), Advance())
        check(machine.joined(), false)
        check(machine.joinFailed("x"), false)
        check(machine.started([]), true)
        check(machine.peerActivated(cid: "ours"), .outOfOrder)
        check(machine.peerProxyFailed(), .outOfOrder)
        check(machine.peerUsed(cid: "none of ours"), .unknownCandidate)
        check(machine.peerUsed(cid: "ours"), .fine)
        check(machine.peerUsed(cid: "ours"), .outOfOrder)
        check(machine.peerFailed(), .outOfOrder)
        for index in 0..<100 { machine.connectionArrived(cid: "c\(index)") }
        check(machine.advance(now: Self.start).tellsFailure, true)
        check(machine.peerUsed(cid: "ours"), .outOfOrder)
    }

    /// Any order of all events, seeded: nothing is said twice, a verdict once, and what is dialled ends.
    @Test func anyOrderOfEventsKeepsTheRules() throws {
        var generator = SplitMix(state: 7)
        let theirs = [
            try Self.candidate("a", 2000), try Self.candidate("b", 1000), try Self.candidate("ours", 30, .proxy),
            try Self.candidate("d", 10),
        ]
        for _ in 0..<20_000 {
            var machine = Machine(
                isInitiator: generator.next(2) == 0, ours: [try Self.candidate("ours", 1000), try Self.candidate("p", 20, .proxy)])
            var now = Self.start
            var verdicts = 0
            var ends = 0
            var dialling: Set<String> = []
            for _ in 0..<generator.next(30) {
                let cid = ["a", "b", "ours", "d", "p", "x"][generator.next(6)]
                switch generator.next(11) {
                case 0: _ = machine.started(theirs)
                case 1, 2:
                    let advance = machine.advance(now: now)
                    if advance.tellsFailure { verdicts += 1 }
                    for candidate in advance.dials { #expect(dialling.insert(candidate.cid).inserted) }
                    #expect(advance.wake.map { $0 > now } ?? true)
                case 3: if case .tell = machine.dialled(cid: cid) { verdicts += 1 }
                case 4: machine.dialFailed(cid: cid, "no")
                case 5: _ = machine.peerUsed(cid: cid)
                case 6: _ = machine.peerFailed()
                case 7: _ = machine.peerActivated(cid: cid)
                case 8: _ = machine.peerProxyFailed()
                case 9: machine.connectionArrived(cid: cid)
                default: if generator.next(2) == 0 { _ = machine.joined() } else { _ = machine.joinFailed("no") }
                }
                switch machine.takeNomination() {
                case .join, nil: break
                case .useDialled, .useArrived, .useJoined, .fail: ends += 1
                }
                _ = machine.takeAbandoned()
                now = now + .milliseconds(Int64(generator.next(300)))
            }
            #expect(verdicts <= 1)
            #expect(ends <= 1)
            #expect(machine.candidates.count { $0.reason == nil } <= 1)
        }
    }

    private struct SplitMix {
        var state: UInt64

        mutating func next(_ bound: Int) -> Int {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return Int((z ^ (z >> 31)) % UInt64(bound))
        }
    }
}
