@testable import QiMessaging
import Testing

struct PathHoldsTests {
    private let direct = PathKind("direct")
    private let proxy = PathKind("proxy")

    /// Two commands: one that wants direct, then one that wants proxy.
    private func begin(_ holds: inout PathHolds) throws -> (UInt64, UInt64) {
        let (first, second) = (holds.begin(direct), holds.begin(proxy))
        return (try #require(first), try #require(second))
    }

    @Test func theLastCommandCountsAndTheOwnerCountsWhenAllHaveEnded() throws {
        var holds = PathHolds()
        #expect(holds.kind == nil)
        holds.keep(to: .inBand)
        let (first, second) = try begin(&holds)
        #expect(holds.kind == proxy)
        holds.end(first)
        #expect(holds.kind == proxy)
        holds.end(second)
        #expect(holds.kind == .inBand)
        holds.keep(to: nil)
        #expect(holds.kind == nil)
    }

    @Test func aCommandThatEndsInTheMiddleChangesNothing() throws {
        var holds = PathHolds()
        let (first, second) = try begin(&holds)
        holds.keep(to: .inBand)
        holds.end(second)
        #expect(holds.kind == direct)
        holds.end(second)
        #expect(holds.kind == direct)
        holds.end(first)
        #expect(holds.kind == .inBand)
    }

    @Test func moreCommandsThanTheBoundAreRefused() {
        var holds = PathHolds()
        var numbers: [UInt64] = []
        for _ in 0..<PathHolds.most { if let number = holds.begin(direct) { numbers.append(number) } }
        #expect(numbers.count == PathHolds.most)
        let refused = holds.begin(proxy)
        #expect(refused == nil)
        #expect(holds.kind == direct)
        holds.end(numbers[0])
        let taken = holds.begin(proxy)
        #expect(taken != nil)
    }
}
