import Testing

@testable import QiMesh

@Suite struct LineBudgetTests {
    @Test func aMinuteHasSoManyLinesAndOneThatSaysThereAreMore() {
        var budget = LineBudget()
        let start = ContinuousClock.now
        let verdicts = (0..<1_000).map { _ in budget.next(at: start) }
        #expect(Array(verdicts.prefix(LineBudget.limit + 1)) == Array(repeating: .say, count: LineBudget.limit) + [.sayMore])
        #expect(verdicts.dropFirst(LineBudget.limit + 1).allSatisfy { $0 == .silence })
        #expect(budget.next(at: start + .seconds(59)) == .silence)
        let later = (0..<LineBudget.limit + 2).map { _ in budget.next(at: start + .seconds(60)) }
        #expect(later == Array(repeating: .say, count: LineBudget.limit) + [.sayMore, .silence])
    }
}
