import NIOCore

/// How many candidates of a contact are dialled: a session brings a few, but sessions may be many, and each dial tells the contact whether
/// something listens at an address that only we can reach. A bucket of dials for each account, which fills again with time. A pure value.
struct DialBudget: Sendable {
    /// Bounds.
    struct Limits: Sendable {
        /// Candidates of one account that may be dialled at once: those of six sessions.
        var most = 48
        /// How many more each minute.
        var perMinute = 12
        /// Accounts that are kept account of.
        var accounts = 1024
    }

    private struct Bucket {
        var left: Double
        var at: NIODeadline
    }

    private let limits: Limits
    private var buckets: [JID: Bucket] = [:]

    init(_ limits: Limits = Limits()) { self.limits = limits }

    /// One more candidate of that account is to be dialled. Why it is not; nil when it may be.
    mutating func take(for account: JID, at now: NIODeadline) -> String? {
        if buckets[account] == nil, buckets.count >= limits.accounts { forgetFull(now) }
        guard buckets[account] != nil || buckets.count < limits.accounts else { return "candidates of too many contacts were dialled lately" }
        let left = left(of: account, at: now)
        guard left >= 1 else {
            return "too many candidates of this contact were dialled lately: \(limits.perMinute) a minute are, beside \(limits.most) at once"
        }
        buckets[account] = Bucket(left: left - 1, at: now)
        return nil
    }

    /// That dial reached the contact: it told nothing that was not known.
    mutating func giveBack(to account: JID, at now: NIODeadline) {
        guard buckets[account] != nil else { return }
        buckets[account] = Bucket(left: min(left(of: account, at: now) + 1, Double(limits.most)), at: now)
    }

    private func left(of account: JID, at now: NIODeadline) -> Double {
        guard let bucket = buckets[account] else { return Double(limits.most) }
        let minutes = max(Double((now - bucket.at).nanoseconds), 0) / 60e9
        return min(bucket.left + minutes * Double(limits.perMinute), Double(limits.most))
    }

    private mutating func forgetFull(_ now: NIODeadline) {
        for account in Array(buckets.keys) where left(of: account, at: now) >= Double(limits.most) { buckets[account] = nil }
    }
}
