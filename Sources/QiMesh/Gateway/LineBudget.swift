/// How many lines of one kind the log gets, where strangers decide how many there are: a few in a minute, and then one that says that there
/// are more. A value.
struct LineBudget: Sendable {
    enum Verdict: Equatable {
        case say
        /// Say that more of this kind are not told one by one.
        case sayMore
        case silence
    }

    /// Lines in a minute.
    static let limit = 20

    private var end: ContinuousClock.Instant?
    private var count = 0

    mutating func next(at now: ContinuousClock.Instant) -> Verdict {
        if end.map({ now >= $0 }) ?? true { (end, count) = (now + .seconds(60), 0) }
        count = min(count + 1, Self.limit + 2)
        return count <= Self.limit ? .say : count == Self.limit + 1 ? .sayMore : .silence
    }
}
