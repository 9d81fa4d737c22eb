import NIOCore
import Testing

@testable import XMPP

@Suite struct ByteBudgetTests {
    private func at(_ milliseconds: Int) -> NIODeadline { .uptimeNanoseconds(UInt64(milliseconds) * 1_000_000) }
    private func budget() -> ByteBudget { ByteBudget(initial: 4096, minimum: 1000, maximum: 1 << 20) }

    /// A server that takes so many bytes a second after a burst, in the order of sending, and a sender that has always more.
    private struct NarrowPath {
        var budget: ByteBudget
        let bytesPerSecond: Int
        var burst: Int
        var peerDelay = 0
        private var now = 0
        private var busyUntil = 0
        private var answers: [(at: Int, ByteBudget.Ticket, isProbe: Bool)] = []
        /// The longest that a small thing sent at any time would have waited, in ms, since it was last set to 0.
        var longestQueue = 0
        var taken = 0

        init(_ budget: ByteBudget, bytesPerSecond: Int, burst: Int = 0, peerDelay: Int = 0) {
            self.budget = budget
            self.bytesPerSecond = bytesPerSecond
            self.burst = burst
            self.peerDelay = peerDelay
        }

        private mutating func leaves(_ bytes: Int) -> Int {
            let free = min(burst, bytes)
            burst -= free
            busyUntil = max(busyUntil, now) + (bytes - free) * 1000 / bytesPerSecond
            longestQueue = max(longestQueue, busyUntil - now)
            taken += bytes
            return busyUntil + 2
        }

        mutating func run(milliseconds: Int) {
            let end = now + milliseconds
            while now < end {
                let due = answers.filter { $0.at <= now }
                answers.removeAll { $0.at <= now }
                let instant = NIODeadline.uptimeNanoseconds(UInt64(now) * 1_000_000)
                for answer in due {
                    if answer.isProbe { budget.probeAnswered(answer.1, at: instant) } else { budget.answered(answer.1, at: instant) }
                }
                let size = max(1000, budget.limit / 2)
                while budget.allows(size) {
                    let ticket = budget.sent(size, of: 1, backlogged: true, at: instant)
                    answers.append((leaves(size) + peerDelay, ticket, false))
                }
                if let ticket = budget.probe(at: instant) { answers.append((leaves(100), ticket, true)) }
                now += 1
            }
        }
    }

    @Test func holdsBackWhatDoesNotFit() {
        var budget = budget()
        for _ in 0..<4 {
            #expect(budget.allows(1024))
            _ = budget.sent(1024, of: 1, backlogged: true, at: at(0))
        }
        #expect(!budget.allows(1))
        #expect(budget.bytesUnderWay == 4096)
    }

    @Test func oneBlockAlwaysMay() {
        let budget = ByteBudget(initial: 10, minimum: 10, maximum: 10)
        #expect(budget.allows(4096))
    }

    @Test func anAnswerProvesThatWhatWasSentBeforeHasLeft() {
        var budget = budget()
        _ = budget.sent(100, of: 1, backlogged: false, at: at(0))
        let second = budget.sent(200, of: 1, backlogged: false, at: at(0))
        let third = budget.sent(300, of: 1, backlogged: false, at: at(0))
        budget.answered(second, at: at(10))
        #expect(budget.bytesUnderWay == 300)
        budget.answered(second, at: at(11))
        #expect(budget.bytesUnderWay == 300)
        budget.gaveUp(third)
        budget.gaveUp(third)
        #expect(budget.bytesUnderWay == 0)
    }

    @Test(arguments: [(3000, 20_000), (10_000, 0), (10_000, 20_000), (50_000, 0)])
    func followsThreeQuartersOfASecondOfWhatDrains(bytesPerSecond: Int, burst: Int) throws {
        var path = NarrowPath(budget(), bytesPerSecond: bytesPerSecond, burst: burst)
        path.run(milliseconds: 5000)
        // Never more than the start, and a quarter of the burst, may take.
        #expect(path.longestQueue <= 1200 + (4096 + burst / 4) * 1000 / bytesPerSecond, "\(path.longestQueue)")
        path.longestQueue = 0
        path.taken = 0
        path.run(milliseconds: 20_000)
        #expect(path.longestQueue <= 1250, "\(path.longestQueue) ms")
        #expect(path.taken >= bytesPerSecond * 20 * 9 / 10, "\(path.taken) of \(bytesPerSecond * 20)")
        let rate = try #require(path.budget.bytesPerSecond)
        #expect(rate > Double(bytesPerSecond) * 0.7 && rate < Double(bytesPerSecond) * 1.3, "\(rate)")
    }

    /// What is under way when the burst is gone waits; nothing that comes later makes the queue longer.
    @Test(arguments: [3000, 10_000]) func theEndOfABurstDoesNotPassForARate(bytesPerSecond: Int) {
        for burst in stride(from: 8000, through: 24_000, by: 1000) {
            var path = NarrowPath(budget(), bytesPerSecond: bytesPerSecond, burst: burst)
            path.run(milliseconds: 8000)
            let most = max(1250, 4300 * 1000 / bytesPerSecond + 150)
            #expect(path.longestQueue <= most, "\(path.longestQueue) ms after a burst of \(burst)")
        }
    }

    /// Pings go out no more often than four times a second, perhaps long after the block that they are behind.
    @Test func aBlockThatLeftForTheMostPartBeforeThePingMakesNoRate() throws {
        var path = NarrowPath(budget(), bytesPerSecond: 3000)
        path.run(milliseconds: 10_000)
        var budget = path.budget
        budget.reconnected(initial: 4096)
        let rate = try #require(budget.bytesPerSecond)
        budget.answered(budget.sent(100, of: 1, backlogged: false, at: at(19_000)), at: at(19_002))
        for second in 20..<40 {
            _ = budget.sent(1000, of: 1, backlogged: true, at: at(second * 1000))
            let issued = budget.probe(at: at(second * 1000 + 250))
            budget.probeAnswered(try #require(issued), at: at(second * 1000 + 370))
        }
        // 1000 bytes in 370 ms, not in 120.
        let now = try #require(budget.bytesPerSecond)
        #expect(rate > 2100 && now < 3000, "\(rate), \(now)")
    }

    @Test func aFastPathIsNotPaced() {
        var path = NarrowPath(budget(), bytesPerSecond: 10_000_000)
        path.run(milliseconds: 1000)
        #expect(path.budget.limit >= 128 * 1024)
        #expect(path.budget.bytesPerSecond == nil)
    }

    @Test func aPeerThatIsSlowToAcknowledgeDoesNotNarrowOurPath() {
        var path = NarrowPath(budget(), bytesPerSecond: 10_000_000)
        path.run(milliseconds: 100)
        path.peerDelay = 2000
        path.run(milliseconds: 10_000)
        #expect(path.budget.bytesPerSecond == nil, "\(path.budget)")
        #expect(path.budget.limit >= 64 * 1024, "\(path.budget.limit)")
    }

    @Test func aLongWayIsNoQueue() {
        var path = NarrowPath(budget(), bytesPerSecond: 10_000_000, peerDelay: 600)
        path.run(milliseconds: 20_000)
        #expect(path.budget.bytesPerSecond == nil)
        #expect(path.budget.limit >= 64 * 1024, "\(path.budget.limit)")
    }

    @Test func aPathThatBecomesWideIsOpenAgain() {
        var path = NarrowPath(budget(), bytesPerSecond: 3000)
        path.run(milliseconds: 10_000)
        #expect(path.budget.bytesPerSecond != nil)
        path.burst = .max / 2
        path.run(milliseconds: 10_000)
        #expect(path.budget.bytesPerSecond == nil)
        #expect(path.budget.limit >= 128 * 1024)
    }

    @Test func aBurstAfterAPauseDoesNotWidenANarrowPathMuch() {
        var path = NarrowPath(budget(), bytesPerSecond: 3000)
        path.run(milliseconds: 10_000)
        path.burst = 20_000
        path.longestQueue = 0
        path.run(milliseconds: 5000)
        #expect(path.longestQueue < 2000, "\(path.longestQueue) ms")
    }

    @Test func anotherConnectionBeginsAsTheLastOneWas() {
        var path = NarrowPath(budget(), bytesPerSecond: 3000)
        path.run(milliseconds: 10_000)
        path.budget.reconnected(initial: 4096)
        #expect(path.budget.limit < 2500)
        #expect(path.budget.bytesUnderWay == 0)
        #expect(path.budget.bytesPerSecond != nil)
        var fresh = budget()
        _ = fresh.sent(4096, of: 1, backlogged: true, at: at(0))
        fresh.reconnected(initial: 2048)
        #expect(fresh.limit == 2048)
        #expect(fresh.bytesUnderWay == 0)
    }

    @Test func whatHasNothingBehindItSaysNothingOfASlowPath() {
        var budget = budget()
        for index in 0..<40 {
            let ticket = budget.sent(100, of: 1, backlogged: false, at: at(index * 512))
            budget.answered(ticket, at: at((index + 1) * 512))
        }
        #expect(budget.limit == 4096)
        #expect(budget.bytesPerSecond == nil)
    }

    /// Servers let the first bytes of a connection pass at any speed: what is under way when these are gone waits for the rest.
    @Test func theLimitStaysAsItIsForTheFirstBytesOfAConnection() {
        var budget = budget()
        for index in 0..<23 { budget.answered(budget.sent(1000, of: 1, backlogged: true, at: at(index * 10)), at: at(index * 10 + 5)) }
        #expect(budget.limit == 4096)
        for index in 23..<25 { budget.answered(budget.sent(1000, of: 1, backlogged: true, at: at(index * 10)), at: at(index * 10 + 5)) }
        #expect(budget.limit == 4596)
        budget.reconnected(initial: 4096)
        budget.answered(budget.sent(1000, of: 1, backlogged: true, at: at(1000)), at: at(1005))
        #expect(budget.limit == 4096)
    }

    @Test func probesWhenTheOldestBlockIsLate() throws {
        var budget = budget()
        budget.answered(budget.sent(24_000, of: 1, backlogged: false, at: at(0)), at: at(0))
        let block = budget.sent(16_384, of: 1, backlogged: false, at: at(0))
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
        // All that may be under way, and more, left without a queue.
        #expect(budget.limit == 6144)
    }

    @Test func aProbeSaysNothingOfWhatWasSentAfterIt() throws {
        var budget = budget()
        _ = budget.sent(1000, of: 1, backlogged: true, at: at(0))
        let issued = budget.probe(at: at(300))
        let probe = try #require(issued)
        _ = budget.sent(500, of: 1, backlogged: true, at: at(301))
        budget.probeAnswered(probe, at: at(302))
        #expect(budget.bytesUnderWay == 500)
    }

    @Test func aFailedProbeIsRepeatedAfterAWhile() {
        var budget = budget()
        _ = budget.sent(1000, of: 1, backlogged: true, at: at(0))
        check(budget.probe(at: at(300)) != nil, true)
        budget.probeFailed()
        check(budget.probe(at: at(301)), nil)
        check(budget.probe(at: at(550)) != nil, true)
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
