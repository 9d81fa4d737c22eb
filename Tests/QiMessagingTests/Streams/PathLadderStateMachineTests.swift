import NIOCore
@testable import QiMessaging
import Testing

struct PathLadderStateMachineTests {
    private let direct = PathKind("direct")
    private let proxy = PathKind("proxy")
    private let inBand = PathKind.inBand
    private let start = NIODeadline.uptimeNanoseconds(0)

    private var ladder: PathLadderStateMachine {
        var ladder = PathLadderStateMachine([direct, proxy, inBand])
        ladder.climb()
        return ladder
    }

    @Test func nothingBetterIsTriedBeforeTheDeviceHasProvenItself() {
        var ladder = PathLadderStateMachine([direct, proxy, inBand])
        #expect(ladder.next(at: start) == .attempt(inBand))
        ladder.attached(inBand, at: start)
        #expect(ladder.next(at: start) == .wait(until: nil))
        ladder.climb()
        #expect(ladder.next(at: start) == .attempt(direct))
    }

    @Test func theFallbackIsTriedBesideAnAttemptThatHangs() {
        var ladder = ladder
        _ = ladder.next(at: start)
        ladder.attached(inBand, at: start)
        #expect(ladder.next(at: start) == .attempt(direct))
        ladder.lost(inBand, "silent", at: start + .minutes(2))
        #expect(ladder.next(at: start + .minutes(2)) == .attempt(inBand))
        #expect(ladder.next(at: start + .minutes(2)) == .wait(until: nil))
    }


    @Test func theFallbackIsFirstAndBetterPathsFollowOneByOne() {
        var ladder = ladder
        #expect(ladder.next(at: start) == .attempt(inBand))
        #expect(ladder.next(at: start) == .wait(until: nil))
        ladder.attached(inBand, at: start)
        #expect(ladder.next(at: start) == .attempt(direct))
        ladder.failed(direct, "refused", at: start)
        #expect(ladder.next(at: start) == .attempt(proxy))
        ladder.attached(proxy, at: start)
        #expect(ladder.current == proxy)
        #expect(ladder.next(at: start) == .wait(until: start + .seconds(30)))
        #expect(ladder.next(at: start + .seconds(30)) == .attempt(direct))
        ladder.attached(direct, at: start + .seconds(30))
        #expect(ladder.next(at: start + .hours(1)) == .wait(until: nil))
    }

    @Test func theFallbackIsThereAgainAtOnceWhenTheBestPathDies() {
        var ladder = ladder
        _ = ladder.next(at: start)
        ladder.attached(inBand, at: start)
        _ = ladder.next(at: start)
        ladder.attached(direct, at: start)
        ladder.lost(direct, "closed", at: start + .minutes(1))
        #expect(ladder.next(at: start + .minutes(1)) == .attempt(inBand))
        ladder.attached(inBand, at: start + .minutes(1))
        // It lived for long, so it is tried at once.
        #expect(ladder.next(at: start + .minutes(1)) == .attempt(direct))
    }

    @Test func aBetterPathThatDiesAtOnceIsGivenItsTime() {
        var ladder = ladder
        _ = ladder.next(at: start)
        ladder.attached(inBand, at: start)
        _ = ladder.next(at: start)
        ladder.attached(direct, at: start)
        ladder.lost(direct, "reset", at: start + .seconds(1))
        #expect(ladder.next(at: start + .seconds(1)) == .attempt(inBand))
        ladder.attached(inBand, at: start + .seconds(2))
        #expect(ladder.next(at: start + .seconds(2)) == .attempt(proxy))
        ladder.failed(proxy, "none", at: start + .seconds(2))
        #expect(ladder.next(at: start + .seconds(2)) == .wait(until: start + .seconds(32)))
    }

    @Test func pausesGrowAndEndWhenSomethingHasChanged() {
        var ladder = PathLadderStateMachine([inBand])
        ladder.climb()
        var now = start
        var pauses: [Int64] = []
        for _ in 0..<7 {
            #expect(ladder.next(at: now) == .attempt(inBand))
            ladder.failed(inBand, "offline", at: now)
            guard case .wait(let end?) = ladder.next(at: now) else {
                Issue.record("nothing is waited for")
                return
            }
            pauses.append((end - now).nanoseconds / 1_000_000)
            now = end
        }
        #expect(pauses == [500, 1000, 2000, 4000, 5000, 5000, 5000])
        ladder.failed(inBand, "offline", at: now)
        ladder.encouraged()
        #expect(ladder.next(at: now) == .attempt(inBand))
    }
}
