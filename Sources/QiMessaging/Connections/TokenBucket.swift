import NIOCore

/// A rate: fills up steadily, is emptied by use, holds what may come at once. Pure.
struct TokenBucket {
    private let capacity: Double
    private let perNanosecond: Double
    private var level: Double
    private var filledAt: NIODeadline

    /// What floating point may lose.
    private static let rounding = 1e-6
    /// A century, in nanoseconds.
    private static let longestWait = 3e18

    init(_ rate: PrincipalLimits.Rate, at now: NIODeadline) {
        capacity = Double(max(rate.count, 1))
        let interval = TimeAmount(rate.interval).nanoseconds
        perNanosecond = capacity / Double(max(interval, 1))
        level = capacity
        filledAt = now
    }

    private mutating func fill(_ now: NIODeadline) {
        guard now > filledAt else { return }
        level = min(capacity, level + Double((now - filledAt).nanoseconds) * perNanosecond)
        filledAt = now
    }

    /// Takes `amount` when that much is there; else says how long until it is. What is larger than the bucket is taken when it is
    /// full, and the rest is owed.
    mutating func take(_ amount: Int = 1, at now: NIODeadline) -> TimeAmount? {
        fill(now)
        let wanted = min(Double(amount), capacity)
        guard level + Self.rounding < wanted else {
            level -= Double(amount)
            return nil
        }
        return wait(for: wanted - level)
    }

    private func wait(for amount: Double) -> TimeAmount {
        // What was used before it was counted may take longer than a number of nanoseconds holds.
        .nanoseconds(Int64(min(amount / perNanosecond, Self.longestWait).rounded()))
    }

    /// Takes what has been used already, whether it was there or not.
    mutating func owe(_ amount: Int, at now: NIODeadline) {
        fill(now)
        level -= Double(amount)
    }

    /// Takes one, and answers how long it takes until it is there, nil when it is. What is owed is at most twice what the bucket holds.
    mutating func overdraw(at now: NIODeadline) -> TimeAmount? {
        owe(1, at: now)
        level = max(level, -2 * capacity)
        return level >= 0 ? nil : wait(for: -level)
    }

    /// Whether anything is left.
    mutating func isOpen(at now: NIODeadline) -> Bool {
        fill(now)
        return level > 0
    }

    /// Whether it is as good as a new one.
    mutating func isFull(at now: NIODeadline) -> Bool {
        fill(now)
        return level + Self.rounding >= capacity
    }
}
