import NIOCore
import Testing

@testable import XMPP

/// How many candidates of a contact are dialled.
@Suite struct DialBudgetTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    private func jid(_ name: String) throws -> JID { try #require(JID("\(name)@mesh.test")) }

    private func budget(most: Int = 4, perMinute: Int = 2, accounts: Int = 3) -> DialBudget {
        var limits = DialBudget.Limits()
        (limits.most, limits.perMinute, limits.accounts, limits.reserve) = (most, perMinute, accounts, 0)
        return DialBudget(limits)
    }

    private func target(_ host: String, _ port: UInt16 = 9) -> DialBudget.Target { DialBudget.Target(host: host, port: port) }

    /// How many of so many dials are granted, each to another address.
    private func granted(_ count: Int, _ budget: inout DialBudget, _ account: JID, at now: NIODeadline) -> Int {
        var granted = 0
        for number in 0..<count {
            let target = target("\(now.uptimeNanoseconds).\(number)")
            if budget.take(target, for: account, at: now) == .counted { granted += 1 }
        }
        return granted
    }

    @Test func aContactHasItsDialsAtOnceAndThenSoManyAMinute() throws {
        let (one, two) = (try jid("one"), try jid("two"))
        var budget = budget()
        #expect(granted(10, &budget, one, at: start) == 4)
        let refusal = budget.take(target("x"), for: one, at: start)
        #expect(refusal == .refused("too many candidates of this contact were dialled lately: 2 a minute are, beside 4 at once"))
        // Another contact has its own.
        #expect(granted(10, &budget, two, at: start) == 4)
        #expect(granted(10, &budget, one, at: start + .seconds(29)) == 0)
        #expect(granted(10, &budget, one, at: start + .seconds(30)) == 1)
        #expect(granted(10, &budget, one, at: start + .minutes(60)) == 4)
    }

    @Test func aDialThatIsGivenBackCostsNothing() throws {
        let one = try jid("one")
        var budget = budget()
        for number in 0..<20 {
            let target = target("a", UInt16(number))
            let verdict = budget.take(target, for: one, at: start)
            #expect(verdict == .counted)
            // Once only.
            for _ in 0..<3 { budget.giveBack(target, to: one, at: start) }
        }
        #expect(granted(10, &budget, one, at: start) == 4)
    }

    @Test func theSameHostAndPortCountOnceInFiveMinutes() throws {
        let one = try jid("one")
        var budget = budget()
        let first = budget.take(target("a"), for: one, at: start)
        #expect(first == .counted)
        for seconds in 0..<299 {
            let verdict = budget.take(target("a"), for: one, at: start + .seconds(Int64(seconds)))
            #expect(verdict == .known)
        }
        let (later, elsewhere) = (
            budget.take(target("a"), for: one, at: start + .seconds(300)), budget.take(target("a", 10), for: one, at: start + .seconds(300))
        )
        #expect(later == .counted && elsewhere == .counted)
    }

    /// A contact is tried again every 5 s, with new ports each time, and only the last of its hosts can be reached.
    @Test func aHostThatComesLastIsDialledEachMinute() throws {
        let one = try jid("one")
        var budget = DialBudget()
        var (last, counted) = (start, 0)
        for attempt in 0..<240 {
            let now = start + .seconds(Int64(attempt) * 5)
            for host in 0..<8 where budget.take(target("h\(host)", UInt16(attempt)), for: one, at: now) == .counted {
                counted += 1
                guard host == 7 else { continue }
                #expect(now - last <= .seconds(65), "not dialled for \((now - last).nanoseconds / 1_000_000_000) s")
                last = now
            }
        }
        #expect(start + .seconds(1195) - last <= .seconds(65))
        // 20 minutes.
        #expect(counted <= 48 + 20 * 12, "\(counted)")
    }

    @Test func accountsAreForgottenWhenTheyHaveAllTheirDialsAgain() throws {
        var budget = budget()
        for name in ["a", "b", "c"] { #expect(granted(2, &budget, try jid(name), at: start) == 2) }
        let refusal = budget.take(target("x"), for: try jid("d"), at: start)
        #expect(refusal == .refused("candidates of too many contacts were dialled lately"))
        #expect(granted(9, &budget, try jid("a"), at: start) == 2)
        #expect(granted(9, &budget, try jid("d"), at: start + .minutes(1)) == 4)
    }
}
