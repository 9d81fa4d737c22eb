import Foundation
@testable import QiMessaging
import Testing

/// Whatever two sides send, withdraw, confirm, lose and resume, in whatever order: each message arrives once, whole, and in the order of
/// its lane. Of events that may be left out the last of each signal does, and the number of those that do not is told exactly.
@Suite(.timeLimit(.minutes(8)))
struct StreamPropertyTests {
    /// How many runs: more by hand, as `STREAM_RUNS=20000 swift test --filter StreamPropertyTests`; by the million in release, as
    /// `.ci/fuzz seeds 1 1000000`.
    private static var runs: UInt64 { ProcessInfo.processInfo.environment["STREAM_RUNS"].flatMap(UInt64.init) ?? 1_500 }

    @Test func nothingIsLostAndNothingComesTwiceWhateverHappensToThePaths() throws {
        for seed in 1...Self.runs { try ExchangeFuzz.run(seed: seed) }
    }
}
