import NIOCore
@testable import QiMessaging
import QiWire
import Testing

struct CallTableTests {
    private let address = ActionAddress(service: 2, object: 1, action: 100)

    /// A table of numbered calls, whose own number says which is which.
    private struct Calls {
        var table = CallTable<Int>()
        let address: ActionAddress

        /// The id of a new call; 0, which no call has, when there is no room.
        mutating func insert(_ number: Int, until deadline: NIODeadline? = nil) -> UInt32 {
            table.insert(number, address: address, end: CallEnd(deadline)) ?? 0
        }

        mutating func insert(_ number: Int, within time: Duration) -> UInt32 {
            table.insert(number, address: address, end: .within(time)) ?? 0
        }

        mutating func remove(_ id: UInt32) -> Int? { table.remove(id)?.completion }
    }

    @Test func anAnswerFindsItsCallOnce() {
        var calls = Calls(address: address)
        let ids = [calls.insert(1), calls.insert(2)]
        #expect(ids[0] != ids[1] && !ids.contains(0) && calls.table.count == 2)
        #expect(calls.table.address(of: ids[1]) == address)
        let removed = [calls.remove(ids[1]), calls.remove(ids[1]), calls.remove(ids[0])]
        #expect(removed == [2, nil, 1])
        #expect(calls.table.address(of: ids[1]) == nil)
        #expect(calls.table.count == 0)
    }

    @Test func aLateAnswerMeetsNobody() {
        var calls = Calls(address: address)
        let old = calls.insert(0)
        var late = [calls.remove(old)]
        // The slot comes back with every call, the id only after 65 535 of them.
        var seen: Set<UInt32> = [0, old]
        for number in 1..<65_535 {
            let id = calls.insert(number)
            late.append(calls.remove(old))
            seen.insert(id)
            _ = calls.remove(id)
        }
        #expect(seen.count == 65_536)
        #expect(late.compactMap { $0 } == [0])
    }

    @Test func isBounded() {
        var calls = Calls(address: address)
        let ids = (0..<65_536).map { calls.insert($0) }
        #expect(!ids.contains(0))
        let tooMany = calls.insert(65_536)
        #expect(tooMany == 0)
        let all = calls.table.removeAll().map(\.completion)
        #expect(all == Array(0..<65_536))
        #expect(calls.table.count == 0)
    }

    @Test(arguments: [UInt32.max, 0, 7, 0x1_0001])
    func unknownIdsAreNobodys(id: UInt32) {
        var calls = Calls(address: address)
        _ = calls.insert(1)
        let removed = calls.remove(id)
        #expect(removed == nil && calls.table.count == 1)
    }

    @Test func deadlinesPass() {
        var calls = Calls(address: address)
        let start = NIODeadline.uptimeNanoseconds(1_000)
        let soon = calls.insert(1, until: start + .nanoseconds(1))
        let later = calls.insert(2, until: start + .nanoseconds(2))
        _ = calls.insert(3)
        #expect(calls.table.deadlines == 2)
        #expect(calls.table.expired(at: start).isEmpty)
        #expect(calls.table.expired(at: start + .nanoseconds(1)) == [soon])
        #expect(calls.table.expired(at: start + .nanoseconds(9)) == [soon, later])
        _ = calls.remove(soon)
        _ = calls.remove(later)
        #expect(calls.table.deadlines == 0 && calls.table.count == 1)
    }

    @Test func aCallWithATimeGetsItsDeadlineWhenTheClockIsLookedAtForIt() {
        var calls = Calls(address: address)
        let now = NIODeadline.uptimeNanoseconds(1_000)
        let answered = calls.insert(1, within: .nanoseconds(5))
        let waiting = calls.insert(2, within: .nanoseconds(5))
        _ = calls.insert(3)
        #expect(calls.table.young == 2 && calls.table.deadlines == 0)
        _ = calls.remove(answered)
        var told: [UInt32] = []
        calls.table.mature(at: now) { id, number in
            told.append(id)
            return number + 100
        }
        #expect(told == [waiting])
        #expect(calls.table.young == 0 && calls.table.deadlines == 1)
        #expect(calls.table.expired(at: now + .nanoseconds(4)).isEmpty)
        #expect(calls.table.expired(at: now + .nanoseconds(5)) == [waiting])
        calls.table.mature(at: now) { _, number in number + 1_000 }
        let removed = calls.remove(waiting)
        #expect(removed == 102)
        #expect(calls.table.deadlines == 0)
    }

    @Test func anAnswerFromAnotherAddressLeavesTheCall() {
        var calls = Calls(address: address)
        let id = calls.insert(1)
        let other = calls.table.remove(id, sentTo: ActionAddress(service: 2, object: 1, action: 101))
        #expect(other == nil && calls.table.count == 1)
        let own = calls.table.remove(id, sentTo: address)?.completion
        #expect(own == 1)
    }
}
