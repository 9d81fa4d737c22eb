@testable import QiMessaging
import Testing

struct PathHoldsTests {
    private let direct = PathKind("direct")
    private let proxy = PathKind("proxy")
    private final class Loop {}
    private let loop = Loop()

    private func holder(_ connection: UInt64) -> PathHolds.Holder {
        PathHolds.Holder(bus: ObjectIdentifier(loop), connection: connection)
    }

    @Test func commandsCountBeforeTheOwnerUntilAllHaveEnded() {
        var holds = PathHolds()
        #expect(holds.kind == nil)
        holds.keep(to: .inBand)
        let refusals = [holds.begin(direct, for: holder(1)), holds.begin(direct, for: holder(2))]
        #expect(refusals == [nil, nil] && holds.kind == direct)
        holds.end(for: holder(1))
        holds.end(for: holder(1))
        #expect(holds.kind == direct)
        holds.end(for: holder(2))
        #expect(holds.kind == .inBand)
        holds.keep(to: nil)
        #expect(holds.kind == nil)
    }

    @Test func aCommandThatWantsAnotherKindThanAnotherOneIsRefused() {
        var holds = PathHolds()
        let (first, second) = (holds.begin(.inBand, for: holder(1)), holds.begin(direct, for: holder(2)))
        #expect(first == nil && second == .kept(.inBand) && holds.kind == .inBand)
        holds.end(for: holder(1))
        let again = holds.begin(direct, for: holder(2))
        #expect(again == nil && holds.kind == direct)
    }

    @Test func aCommandThatChangesItsMindHasOneHold() {
        var holds = PathHolds()
        let refusals = [holds.begin(direct, for: holder(1)), holds.begin(proxy, for: holder(1))]
        #expect(refusals == [nil, nil] && holds.kind == proxy)
        holds.end(for: holder(1))
        #expect(holds.kind == nil)
    }

    @Test func moreCommandsThanTheBoundAreRefused() {
        var holds = PathHolds()
        for number in 0..<UInt64(PathHolds.most) {
            let refusal = holds.begin(direct, for: holder(number))
            #expect(refusal == nil)
        }
        let (refused, same) = (holds.begin(direct, for: holder(1000)), holds.begin(direct, for: holder(5)))
        #expect(refused == .tooMany && same == nil)
        holds.end(for: holder(0))
        let taken = holds.begin(direct, for: holder(1000))
        #expect(taken == nil)
    }
}
