import NIOCore

/// Which instance of a service answers a proxy that has none yet: the one with the fewest calls in flight, then that with the shortest round
/// trip, then that with the fewest proxies. Pure.
///
/// Round trips are compared by their order of magnitude: those below 4 ms are alike, then those within a factor of two. Else the noise of a
/// measurement would send every proxy to one of two instances in one room.
struct InstanceChoice {
    /// An instance that could answer.
    struct Candidate: Equatable {
        let address: String
        /// Calls of this node that wait for an answer of its device.
        let calls: Int
        /// Nil when none was measured, which counts as the longest.
        let roundTrip: TimeAmount?
        /// Proxies that stay with it.
        let proxies: Int
    }

    /// Nil when there are no candidates.
    static func pick(_ candidates: [Candidate]) -> Candidate? { candidates.min { rank($0) < rank($1) } }

    private static func rank(_ candidate: Candidate) -> (Int, Int, Int, String) {
        (candidate.calls, magnitude(candidate.roundTrip), candidate.proxies, candidate.address)
    }

    private static func magnitude(_ roundTrip: TimeAmount?) -> Int {
        guard let roundTrip else { return .max }
        let quarters = max(roundTrip.nanoseconds, 0) / 4_000_000
        return Int64.bitWidth - quarters.leadingZeroBitCount
    }
}
