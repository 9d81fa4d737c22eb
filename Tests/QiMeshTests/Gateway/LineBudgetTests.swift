import Testing

@testable import QiMesh

@Suite struct LineBudgetTests {
    @Test func aMinuteHasSoManyLinesAndOneThatSaysThereAreMore() {
        var budget = LineBudget()
        let start = ContinuousClock.now
        for _ in 0..<2 {
            let verdicts = (0..<1_000).map { _ in budget.next(at: start) }
            #expect(verdicts.filter { $0 == .say }.count <= LineBudget.limit)
            #expect(verdicts.filter { $0 == .sayMore }.count <= 1)
        }
        #expect(budget.next(at: start + .seconds(59)) == .silence)
        let later = (0..<LineBudget.limit + 2).map { _ in budget.next(at: start + .seconds(60)) }
        #expect(later == Array(repeating: .say, count: LineBudget.limit) + [.sayMore, .silence])
    }
}
