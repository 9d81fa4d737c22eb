@testable import QiMessaging
import Testing

struct ServiceIDsTests {
    @Test func inOrderFromTwo() {
        var ids = ServiceIDs()
        let given = (0..<3).map { _ in ids.take() }
        #expect(given == [2, 3, 4])
        #expect(ids.next == 5 && ids.ahead.isEmpty)
        #expect(ids.wasGiven(4) && !ids.wasGiven(5))
    }

    @Test func oneAheadIsLeftOutLater() {
        var ids = ServiceIDs()
        #expect(ids.mayGive(4))
        ids.take(4)
        #expect(!ids.mayGive(4) && ids.wasGiven(4) && !ids.wasGiven(3))
        let given = (0..<3).map { _ in ids.take() }
        #expect(given == [2, 3, 5])
        #expect(ids.ahead.isEmpty)
    }

    @Test func oneThatWasGivenChangesNothing() {
        var ids = ServiceIDs()
        ids.take(2)
        ids.take(2)
        #expect(ids.next == 3)
    }

    @Test func noneFromTheRangeOfLookUps() {
        var ids = ServiceIDs()
        #expect(!ids.mayGive(ServiceIDs.end))
        ids.take(ServiceIDs.end)
        #expect(!ids.wasGiven(ServiceIDs.end))
        ids.skip(to: ServiceIDs.end)
        let none = ids.take()
        #expect(none == nil)
    }

    @Test func skippingForgetsWhatLiesBelow() {
        var ids = ServiceIDs()
        ids.take(5)
        ids.take(10)
        ids.skip(to: 9)
        #expect(ids.next == 9 && ids.ahead == [10])
        ids.skip(to: 3)
        #expect(ids.next == 9)
        ids.skip(to: 10)
        #expect(ids.next == 11)
    }

    @Test func whatLiesAheadIsBounded() {
        var ids = ServiceIDs()
        for index in 0..<ServiceIDs.maximumAhead { ids.take(UInt32(10 + index * 2)) }
        #expect(!ids.mayGive(5))
        // A master may go beyond; then the ids between are given up.
        let last = UInt32(10 + ServiceIDs.maximumAhead * 2)
        ids.take(last)
        #expect(ids.next == last + 1 && ids.ahead.isEmpty)
    }
}
