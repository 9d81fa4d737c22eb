import NIOCore
import Testing

@testable import XMPP

@Suite struct OpeningTurnsTests {
    private let robot: JID
    private let desk: JID
    private var turns = OpeningTurns(places: 2, mostWaiting: 4, patience: .seconds(600), youth: .seconds(3))

    init() throws {
        robot = try #require(JID("robot@mesh.test"))
        desk = try #require(JID("desk@mesh.test"))
    }

    private func at(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(UInt64(seconds) * 1_000_000_000) }

    private mutating func ask(_ numbers: ClosedRange<UInt64>, for contact: JID) -> [OpeningTurns.OnAsk] {
        numbers.map { turns.asked($0, for: contact, at: at(0)) }
    }

    @Test mutating func twoBeginOthersWaitAndTooManyAreRefused() {
        #expect(ask(1...7, for: robot) == [.begin, .begin, .wait, .wait, .wait, .wait, .refuse])
        #expect(turns.count == 4)
        check(turns.next(), nil)
    }

    @Test mutating func aPlaceIsFreeAfterTheFirstBytesOrTheEnd() {
        _ = ask(1...4, for: robot)
        turns.opened(1, at: at(1))
        check(turns.next(), nil)
        turns.left(1)
        check(turns.next(), 3)
        check(turns.next(), nil)
        turns.left(2)
        check(turns.next(), 4)
        #expect(turns.count == 0)
    }

    @Test mutating func anOpenOneThatReceivesNothingCountsForThreeSeconds() {
        _ = ask(1...3, for: robot)
        turns.opened(1, at: at(1))
        check(turns.ticked(at: at(3)), [])
        check(turns.next(), nil)
        check(turns.ticked(at: at(4)), [])
        check(turns.next(), 3)
    }

    @Test mutating func contactsTakeTurns() {
        _ = ask(1...5, for: robot)
        _ = ask(6...6, for: desk)
        var order: [UInt64] = []
        for done in UInt64(1)...4 {
            turns.left(done <= 2 ? done : order[Int(done) - 3])
            if let next = turns.next() { order.append(next) }
        }
        #expect(order == [3, 6, 4, 5])
    }

    @Test mutating func oneThatIsGivenUpLosesItsTurnAndNoOther() {
        _ = ask(1...4, for: robot)
        turns.left(3)
        #expect(turns.count(of: robot) == 1)
        turns.left(1)
        check(turns.next(), 4)
        turns.left(99)
        #expect(turns.count(of: robot) == 0)
    }

    @Test mutating func oneThatWaitedTooLongIsNamedOnce() {
        _ = ask(1...4, for: robot)
        check(turns.ticked(at: at(599)), [])
        check(turns.ticked(at: at(600)), [3, 4])
        check(turns.ticked(at: at(601)), [])
        #expect(turns.count == 0)
    }

    @Test mutating func aNewOneDoesNotPassThoseThatWait() {
        _ = ask(1...3, for: robot)
        turns.left(1)
        check(turns.asked(4, for: desk, at: at(0)), .wait)
        check(turns.next(), 3)
    }
}
