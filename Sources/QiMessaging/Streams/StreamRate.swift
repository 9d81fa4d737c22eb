import NIOCore

/// How fast bytes go one way: the most of any two seconds of the last minute. A pure value: time comes in with the bytes.
struct StreamRate {
    private static let span = TimeAmount.seconds(2)
    private static let spans = 30

    private var counts: [Int]
    private var latest: Int64 = 0

    init() { counts = Array(repeating: 0, count: Self.spans) }

    mutating func add(_ bytes: Int, at now: NIODeadline) {
        let index = advance(to: now)
        counts[index] += bytes
    }

    /// Bytes per second.
    mutating func most(at now: NIODeadline) -> Double {
        _ = advance(to: now)
        return Double(counts.max() ?? 0) / (Double(Self.span.nanoseconds) / 1e9)
    }

    /// Empties what is too old. The place of this moment.
    private mutating func advance(to now: NIODeadline) -> Int {
        let current = Int64(now.uptimeNanoseconds) / Self.span.nanoseconds
        if current > latest {
            for span in max(latest + 1, current - Int64(Self.spans) + 1)...current { counts[Int(span) % Self.spans] = 0 }
            latest = current
        }
        return Int(current) % Self.spans
    }
}
