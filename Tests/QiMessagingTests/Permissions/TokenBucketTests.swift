import NIOCore
@testable import QiMessaging
import Testing

@Suite struct TokenBucketTests {
    private let start = NIODeadline.uptimeNanoseconds(10_000_000_000)

    /// What one call each is told that comes so long after the start.
    private func waits(_ bucket: inout TokenBucket, _ times: [TimeAmount]) -> [TimeAmount?] {
        times.map { bucket.take(at: start + $0) }
    }

    @Test func whatIsThereMayBeTakenAtOnceAndComesBackSteadily() {
        var bucket = TokenBucket(.init(20), at: start)
        #expect(waits(&bucket, Array(repeating: .zero, count: 20)) == Array(repeating: nil, count: 20))
        #expect(waits(&bucket, [.zero, .milliseconds(49), .milliseconds(50), .milliseconds(50)])
            == [.milliseconds(50), .milliseconds(1), nil, .milliseconds(50)])
    }

    @Test func itHoldsNoMoreThanItsRate() {
        var bucket = TokenBucket(.init(2, per: .seconds(60)), at: start)
        #expect(waits(&bucket, Array(repeating: .hours(10), count: 3)) == [nil, nil, .seconds(30)])
    }

    @Test func whatIsLargerThanTheBucketPassesOnceAndIsOwed() {
        var bucket = TokenBucket(.init(2000), at: start)
        let first = bucket.take(6000, at: start)
        #expect(first == nil)
        #expect(waits(&bucket, [.seconds(1)]) == [.nanoseconds(1_000_500_000)])
        let isOpen = bucket.isOpen(at: start + .seconds(2))
        #expect(!isOpen)
        #expect(waits(&bucket, [.seconds(3)]) == [nil])
    }

    /// One an hour, and a long answer that is counted afterwards: 2.6 million hours are more nanoseconds than a number holds.
    @Test func aWaitThatIsTooLongForANumberIsCutToACentury() {
        var bucket = TokenBucket(.init(1, per: .seconds(3600)), at: start)
        bucket.owe(2_600_000, at: start)
        #expect(waits(&bucket, [.zero]) == [.nanoseconds(3_000_000_000_000_000_000)])
    }

    @Test func aClockThatStandsStillGivesNothing() {
        var bucket = TokenBucket(.init(1), at: start)
        #expect(waits(&bucket, [.zero, .seconds(-5)]) == [nil, .seconds(1)])
    }

    @Test func whatIsOwedIsBounded() {
        var bucket = TokenBucket(.init(100, per: .seconds(5)), at: start)
        func overdraw(_ time: TimeAmount) -> TimeAmount? { bucket.overdraw(at: start + time) }
        for _ in 0..<100 { #expect(overdraw(.zero) == nil) }
        #expect([overdraw(.zero), overdraw(.zero)] == [.milliseconds(50), .milliseconds(100)])
        for _ in 0..<1000 { _ = overdraw(.zero) }
        #expect(overdraw(.zero) == .seconds(10))
        #expect(overdraw(.seconds(10)) == .milliseconds(50))
    }

    // MARK: - Accounts

    private func limits(_ change: (inout PrincipalLimits) -> Void) -> PrincipalLimits {
        var limits = PrincipalLimits()
        change(&limits)
        return limits
    }

    @Test func anAccountRefusesWithWhatToDo() {
        let account = PrincipalAccount(limits { $0.calls = .init(1) }, at: start)
        #expect(account.admit(10, by: .tcp, isSubscription: false, at: start) == nil)
        #expect(
            account.admit(10, by: .tcp, isSubscription: false, at: start)
                == "1 calls per second are allowed: try again in 1 s")
        #expect(
            account.admit(10, by: .tcp, isSubscription: false, at: start + .milliseconds(900))
                == "1 calls per second are allowed: try again in 100 ms")
    }

    @Test func largeArgumentsAreRefused() {
        let account = PrincipalAccount(limits { $0.payload = 100 })
        #expect(account.admit(100, by: .tcp, isSubscription: false) == nil)
        #expect(account.admit(101, by: .tcp, isSubscription: false) == "the arguments have 101 bytes, and 100 are allowed")
    }

    @Test func callsInFlightCountUntilTheirTicketIsGone() {
        let account = PrincipalAccount(limits { $0.callsInFlight = 1 })
        #expect(account.admit(1, by: .tcp, isSubscription: false) == nil)
        var ticket: CallTicket? = CallTicket(account, by: .tcp)
        #expect(account.admit(1, by: .tcp, isSubscription: false) == "1 calls wait for their answers: wait for one")
        ticket?.answered(5)
        ticket = nil
        #expect(account.admit(1, by: .tcp, isSubscription: false) == nil)
    }

    @Test func subscriptionsCountAsLongAsTheyAreHeld() {
        let account = PrincipalAccount(limits { $0.subscriptions = 1 })
        #expect(account.admit(1, by: .tcp, isSubscription: true) == nil)
        var ticket: SubscriptionTicket? = SubscriptionTicket(account, by: .tcp)
        #expect(account.admit(1, by: .tcp, isSubscription: true) == "1 subscriptions are held: end one")
        #expect(account.admit(1, by: .tcp, isSubscription: false) == nil)
        #expect(ticket?.queue == nil)
        ticket = nil
        #expect(account.admit(1, by: .tcp, isSubscription: true) == nil)
    }

    @Test func inbandBytesCountOnInbandPathsOnlyAndWithTheAnswers() {
        let account = PrincipalAccount(limits { $0.inband = .init(1000, per: .seconds(3600)) })
        #expect(account.admit(5000, by: .tcp, isSubscription: false) == nil)
        #expect(account.admit(100, by: .inBand, isSubscription: false) == nil)
        var ticket: CallTicket? = CallTicket(account, by: .inBand)
        ticket?.answered(2000)
        ticket = nil
        let refusal = account.admit(1, by: .inBand, isSubscription: false)
        #expect(refusal?.hasPrefix("1000 bytes per hour through XMPP are allowed: try again in ") == true)
        #expect(!account.isUnused(at: .now()))
    }
}
