import NIOCore

/// Growing pauses with jitter, so that a thousand clients do not come back in the same second.
struct Backoff {
    private var pause: TimeAmount
    private let most: TimeAmount

    init(first: TimeAmount, most: TimeAmount) {
        pause = first
        self.most = most
    }

    /// The next pause: twice the last one up to the most, half of it random.
    mutating func next() -> TimeAmount {
        let base = pause
        pause = min(TimeAmount.nanoseconds(pause.nanoseconds * 2), most)
        return .nanoseconds(base.nanoseconds / 2 + Int64.random(in: 0...base.nanoseconds / 2))
    }
}

extension TimeAmount {
    static func / (amount: TimeAmount, divisor: Int64) -> TimeAmount { .nanoseconds(amount.nanoseconds / divisor) }
}
