import NIOCore
import Testing

@testable import XMPP

@Suite struct ByteBudgetTests {
    private func at(_ milliseconds: Int) -> NIODeadline { .uptimeNanoseconds(UInt64(milliseconds) * 1_000_000) }
    private func budget() -> ByteBudget { ByteBudget(initial: 16_384, minimum: 4096, maximum: 1 << 20) }

    @Test func holdsBackWhatDoesNotFit() {
        var budget = budget()
        for _ in 0..<4 {
            #expect(budget.allows(4096))
            _ = budget.sent(4096, backlogged: true, at: at(0))
        }
        #expect(!budget.allows(1))
        #expect(budget.bytesUnderWay == 16_384)
    }

    @Test func oneBlockAlwaysMay() {
        let budget = ByteBudget(initial: 10, minimum: 10, maximum: 10)
        #expect(budget.allows(4096))
    }

    @Test func anAnswerProvesThatWhatWasSentBeforeHasLeft() {
        var budget = budget()
        _ = budget.sent(100, backlogged: false, at: at(0))
        let second = budget.sent(200, backlogged: false, at: at(0))
        let third = budget.sent(300, backlogged: false, at: at(0))
        budget.answered(second, at: at(10))
        #expect(budget.bytesUnderWay == 300)
        budget.answered(second, at: at(11))
        #expect(budget.bytesUnderWay == 300)
        budget.gaveUp(third)
        budget.gaveUp(third)
        #expect(budget.bytesUnderWay == 0)
    }

    @Test func followsHalfASecondOfWhatDrains() {
        var budget = budget()
        // 8 kB/s, as Debian's Prosody allows.
        for index in 0..<40 {
            let ticket = budget.sent(4096, backlogged: true, at: at(index * 512))
            budget.answered(ticket, at: at((index + 1) * 512))
        }
        #expect(budget.limit == 4096)
        // 4 MB/s.
        for index in 0..<40 {
            let ticket = budget.sent(4096, backlogged: true, at: at(30_000 + index))
            budget.answered(ticket, at: at(30_001 + index))
        }
        #expect(budget.limit == 1 << 20)
    }

    @Test func whatHasNothingBehindItSaysNothingOfASlowPath() {
        var budget = budget()
        for index in 0..<40 {
            let ticket = budget.sent(100, backlogged: false, at: at(index * 512))
            budget.answered(ticket, at: at((index + 1) * 512))
        }
        #expect(budget.limit == 16_384)
    }

    @Test func probesWhenTheOldestBlockIsLate() throws {
        var budget = budget()
        let block = budget.sent(16_384, backlogged: true, at: at(0))
        check(budget.probe(at: at(249)), nil)
        let issued = budget.probe(at: at(250))
        let probe = try #require(issued)
        check(budget.probe(at: at(10_000)), nil)
        budget.probeAnswered(probe, at: at(260))
        #expect(budget.bytesUnderWay == 0)
        check(budget.probe(at: at(10_000)), nil)
        // Its own answer changes nothing any more.
        budget.answered(block, at: at(20_000))
        #expect(budget.bytesUnderWay == 0)
        #expect(budget.limit == 16_384)
    }

    @Test func aProbeSaysNothingOfWhatWasSentAfterIt() throws {
        var budget = budget()
        _ = budget.sent(1000, backlogged: true, at: at(0))
        let issued = budget.probe(at: at(300))
        let probe = try #require(issued)
        _ = budget.sent(500, backlogged: true, at: at(301))
        budget.probeAnswered(probe, at: at(302))
        #expect(budget.bytesUnderWay == 500)
    }

    @Test func aFailedProbeIsRepeated() {
        var budget = budget()
        _ = budget.sent(1000, backlogged: true, at: at(0))
        check(budget.probe(at: at(300)) != nil, true)
        budget.probeFailed()
        check(budget.probe(at: at(301)) != nil, true)
        #expect(budget.bytesUnderWay == 1000)
    }
}

@Suite struct FairTurnsTests {
    @Test func everybodyGetsATurnInOrder() {
        var turns = FairTurns<Int>()
        for waiter in [1, 2, 3, 1, 2] { turns.wait(waiter) }
        check(turns.next(), 1)
        turns.wait(1)
        check(turns.next(), 2)
        turns.putBack(2)
        turns.putBack(2)
        check(turns.next(), 2)
        turns.remove(3)
        turns.remove(3)
        #expect(!turns.isEmpty)
        check(turns.next(), 1)
        check(turns.next(), nil)
        #expect(turns.isEmpty)
    }
}
