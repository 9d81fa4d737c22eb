import NIOCore
import Testing

@testable import XMPP

/// How many candidates of a contact are dialled.
@Suite struct DialBudgetTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    private func jid(_ name: String) throws -> JID { try #require(JID("\(name)@mesh.test")) }

    private func budget(most: Int = 4, perMinute: Int = 2, accounts: Int = 3) -> DialBudget {
        var limits = DialBudget.Limits()
        (limits.most, limits.perMinute, limits.accounts) = (most, perMinute, accounts)
        return DialBudget(limits)
    }

    /// How many of so many dials are granted.
    private func granted(_ count: Int, _ budget: inout DialBudget, _ account: JID, at now: NIODeadline) -> Int {
        var granted = 0
        for _ in 0..<count where budget.take(for: account, at: now) == nil { granted += 1 }
        return granted
    }

    @Test func aContactHasItsDialsAtOnceAndThenSoManyAMinute() throws {
        let (one, two) = (try jid("one"), try jid("two"))
        var budget = budget()
        #expect(granted(10, &budget, one, at: start) == 4)
        let refusal = budget.take(for: one, at: start)
        #expect(refusal == "too many candidates of this contact were dialled lately: 2 a minute are, beside 4 at once")
        // Another contact has its own.
        #expect(granted(10, &budget, two, at: start) == 4)
        #expect(granted(10, &budget, one, at: start + .seconds(29)) == 0)
        #expect(granted(10, &budget, one, at: start + .seconds(30)) == 1)
        #expect(granted(10, &budget, one, at: start + .minutes(60)) == 4)
    }

    @Test func aDialThatReachedTheContactCostsNothing() throws {
        let one = try jid("one")
        var budget = budget()
        for _ in 0..<20 {
            #expect(granted(1, &budget, one, at: start) == 1)
            budget.giveBack(to: one, at: start)
        }
        #expect(granted(10, &budget, one, at: start) == 4)
        for _ in 0..<20 { budget.giveBack(to: one, at: start) }
        #expect(granted(10, &budget, one, at: start) == 4, "more than there is room for was given back")
    }

    @Test func accountsAreForgottenWhenTheyHaveAllTheirDialsAgain() throws {
        var budget = budget()
        for name in ["a", "b", "c"] { #expect(granted(2, &budget, try jid(name), at: start) == 2) }
        let refusal = budget.take(for: try jid("d"), at: start)
        #expect(refusal == "candidates of too many contacts were dialled lately")
        #expect(granted(9, &budget, try jid("a"), at: start) == 2)
        #expect(granted(9, &budget, try jid("d"), at: start + .minutes(1)) == 4)
    }
}
