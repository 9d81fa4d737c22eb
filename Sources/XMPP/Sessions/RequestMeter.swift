import NIOCore

/// How many requests one contact may make: a token bucket with a second's worth of tokens. What is over it is
/// refused in words (RFC 6120 §8.2.3 leaves no request without an answer), until it has gone on for longer than ``patience``. A value.
struct RequestMeter {
    enum Verdict: Equatable {
        /// Answer it.
        case serve
        /// Answer `resource-constraint`.
        case refuse
        /// Not even that.
        case drop
    }

    private struct Bucket {
        var tokens: Double
        var refusals: Double
        var filled: NIODeadline
    }

    /// Refusals in a row, in seconds' worth of requests, before there is silence.
    private static let patience = 20.0

    private let rate: Double
    private let limit: Int
    private var buckets: [JID: Bucket] = [:]

    /// `limit` bounds how many senders are remembered.
    init(perSecond: Int, limit: Int) {
        rate = Double(perSecond)
        self.limit = limit
    }

    /// A request of that sender arrived.
    mutating func received(from sender: JID, now: NIODeadline) -> Verdict {
        if buckets.count >= limit && buckets[sender] == nil { forgetFull(now: now) }
        var bucket = buckets[sender] ?? Bucket(tokens: rate, refusals: rate * RequestMeter.patience, filled: now)
        let grown = Double((now - bucket.filled).nanoseconds) / 1e9 * rate
        bucket.tokens = min(rate, bucket.tokens + grown)
        bucket.refusals = min(rate * RequestMeter.patience, bucket.refusals + grown)
        bucket.filled = now
        let verdict: Verdict
        if bucket.tokens >= 1 {
            bucket.tokens -= 1
            verdict = .serve
        } else if bucket.refusals >= 1 {
            bucket.refusals -= 1
            verdict = .refuse
        } else {
            verdict = .drop
        }
        buckets[sender] = bucket
        return verdict
    }

    /// A bucket that has not been touched for a second is full, and so as good as none.
    private mutating func forgetFull(now: NIODeadline) {
        buckets = buckets.filter { now - $0.value.filled < .seconds(1) }
        if buckets.count >= limit { buckets = [:] }
    }
}
