import NIOCore
@testable import QiMessaging
import Testing

/// Who may be served for how long.
@Suite struct TurnSharesTests {
    private typealias Party = TurnShares.Party
    private static let greedy = Party(place: [1], isProven: true)
    private static let modest = Party(place: [2], isProven: true)

    /// Parties that want all the time there is for so long, in turns; answers what each got, in milliseconds.
    private static func besiege(
        _ shares: inout TurnShares, from start: NIODeadline, for time: TimeAmount, _ parties: [Party], each: (NIODeadline) -> Void = { _ in }
    ) -> [Party: Double] {
        var (now, got, queue) = (start, [Party: Double](), parties)
        while now < start + time {
            var (blocked, served): ([Party], [Party]) = ([], [])
            for party in queue {
                guard let turn = shares.turn(of: party, beside: parties.count - 1, at: now) else {
                    blocked.append(party)
                    continue
                }
                served.append(party)
                now = now + turn
                shares.took(turn, by: party, at: now)
                got[party, default: 0] += Double(turn.nanoseconds) / 1e6
            }
            each(now)
            if served.isEmpty { now = now + .microseconds(100) }
            queue = blocked + served
        }
        return got
    }

    @Test func whoIsAloneHasAllTheTime() {
        var shares = TurnShares(at: .uptimeNanoseconds(0))
        let got = Self.besiege(&shares, from: .uptimeNanoseconds(0), for: .seconds(1), [Self.greedy])
        #expect(got[Self.greedy].map { $0 > 990 } == true)
    }

    @Test func noTurnIsLong() {
        var shares = TurnShares(at: .uptimeNanoseconds(0))
        let later = NIODeadline.uptimeNanoseconds(0) + .seconds(60)
        let (alone, besideNine) = (shares.turn(of: Self.greedy, beside: 0, at: later), shares.turn(of: Self.greedy, beside: 9, at: later))
        #expect(alone.map { $0 <= .milliseconds(1) } == true)
        #expect(besideNine.map { $0 <= .microseconds(100) } == true)
    }

    @Test func besideAnotherPlaceItIsHalf() {
        var shares = TurnShares(at: .uptimeNanoseconds(0))
        var (now, got, refusals) = (NIODeadline.uptimeNanoseconds(0), 0.0, 0)
        // The modest one wants 100 us every 5 ms.
        for _ in 0..<200 {
            if let turn = shares.turn(of: Self.modest, beside: 1, at: now) {
                now = now + min(turn, .microseconds(100))
                shares.took(min(turn, .microseconds(100)), by: Self.modest, at: now)
            } else {
                refusals += 1
            }
            got += Self.besiege(&shares, from: now, for: .milliseconds(5), [Self.greedy])[Self.greedy] ?? 0
            now = now + .milliseconds(5)
        }
        #expect(refusals == 0)
        #expect(got > 400 && got < 560)
    }

    @Test func allWhoAreUnprovenHaveAQuarterTogether() {
        var shares = TurnShares(at: .uptimeNanoseconds(0))
        let crowd = (UInt8(10)..<20).map { Party(place: [$0], isProven: false) }
        let got = Self.besiege(&shares, from: .uptimeNanoseconds(0), for: .seconds(1), crowd)
        #expect(got.values.reduce(0, +) < 270)
        // In turns: nobody has much more than the others.
        #expect(got.count == crowd.count && got.values.allSatisfy { $0 > 15 && $0 < 40 })
        // They take nothing from those who are known.
        let known = shares.turn(of: Self.modest, beside: 10, at: .uptimeNanoseconds(1_000_000_000))
        #expect(known != nil)
    }

    @Test func whatTookLongIsOwed() {
        var shares = TurnShares(at: .uptimeNanoseconds(0))
        let stranger = Party(place: [3], isProven: false)
        var now = NIODeadline.uptimeNanoseconds(0)
        let first = shares.turn(of: stranger, beside: 0, at: now)
        now = now + .milliseconds(10)
        shares.took(.milliseconds(10), by: stranger, at: now)
        let early = shares.turn(of: stranger, beside: 0, at: now + .milliseconds(20))
        let later = shares.turn(of: stranger, beside: 0, at: now + .milliseconds(25))
        #expect(first != nil && early == nil && later != nil)
    }
}
