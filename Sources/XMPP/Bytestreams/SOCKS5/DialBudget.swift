import NIOCore

/// How many candidates of a contact are dialled: a session brings a few, but sessions may be many, and each dial tells the contact whether
/// something listens at an address that only we can reach. A bucket of dials for each account, which fills again with time. A pure value.
///
/// A contact that is tried again and again offers the same hosts each time, at new ports. When few dials are left, a host that was dialled
/// in vain within the last minute waits: otherwise the first ones of each attempt would take them all, and a later one that can be reached
/// would never have its turn.
struct DialBudget: Sendable {
    /// Bounds.
    struct Limits: Sendable {
        /// Candidates of one account that may be dialled at once: those of six sessions.
        var most = 48
        /// How many more each minute.
        var perMinute = 12
        /// Accounts that are kept account of.
        var accounts = 1024
        /// Few dials are left when no more than this are: as many as a session has candidates, and fewer than come each minute.
        var reserve = 8
        /// For how long a dial counts: the same host and port within that time tells nothing that is new.
        var memory = TimeAmount.minutes(5)
        /// Hosts and ports of one account that are remembered.
        var targets = 128
    }

    /// What is dialled.
    struct Target: Hashable, Sendable {
        /// An address in its canonical form, or a proxy's name.
        let host: String
        let port: UInt16
    }

    /// What is said of a dial.
    enum Verdict: Equatable {
        /// It may begin, and counts.
        case counted
        /// It may begin; the same one has been counted lately.
        case known
        /// It may not, for that reason.
        case refused(String)
    }

    private struct Bucket {
        var left: Double
        var at: NIODeadline
        /// When what was counted was dialled.
        var counted: [Target: NIODeadline] = [:]
    }

    private let limits: Limits
    private var buckets: [JID: Bucket] = [:]
    /// How long a host waits when few dials are left.
    private static let turn = TimeAmount.minutes(1)

    init(_ limits: Limits = Limits()) { self.limits = limits }

    /// A candidate of that account is to be dialled.
    mutating func take(_ target: Target, for account: JID, at now: NIODeadline) -> Verdict {
        if buckets[account] == nil, buckets.count >= limits.accounts { forgetFull(now) }
        guard buckets[account] != nil || buckets.count < limits.accounts else {
            return .refused("candidates of too many contacts were dialled lately")
        }
        var bucket = buckets[account] ?? Bucket(left: Double(limits.most), at: now)
        bucket.left = left(in: bucket, at: now)
        bucket.at = now
        let memory = limits.memory
        if let at = bucket.counted[target], now - at < memory { return .known }
        let isTurn = bucket.left >= Double(limits.reserve + 1)
            || !bucket.counted.contains { $0.key.host == target.host && now - $0.value < Self.turn }
        guard bucket.left >= 1, isTurn else {
            return .refused(
                "too many candidates of this contact were dialled lately: \(limits.perMinute) a minute are, beside \(limits.most) at once")
        }
        bucket.left -= 1
        if bucket.counted.count >= limits.targets { bucket.counted = bucket.counted.filter { now - $0.value < memory } }
        if bucket.counted.count >= limits.targets, let oldest = bucket.counted.min(by: { $0.value < $1.value })?.key {
            bucket.counted[oldest] = nil
        }
        bucket.counted[target] = now
        buckets[account] = bucket
        return .counted
    }

    /// A dial that was counted told the contact nothing: it reached the contact itself, or was ended before anything came of it.
    mutating func giveBack(_ target: Target, to account: JID, at now: NIODeadline) {
        guard var bucket = buckets[account], bucket.counted.removeValue(forKey: target) != nil else { return }
        bucket.left = min(left(in: bucket, at: now) + 1, Double(limits.most))
        bucket.at = now
        buckets[account] = bucket
    }

    private func left(in bucket: Bucket, at now: NIODeadline) -> Double {
        let minutes = max(Double((now - bucket.at).nanoseconds), 0) / 60e9
        return min(bucket.left + minutes * Double(limits.perMinute), Double(limits.most))
    }

    private mutating func forgetFull(_ now: NIODeadline) {
        buckets = buckets.filter { left(in: $0.value, at: now) < Double(limits.most) }
    }
}
