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

    /// The longest time that another node's word makes us wait.
    private static let longestTold = TimeAmount.seconds(60)

    /// The next pause after an error: not shorter than the error says, up to 60 s.
    mutating func next(after error: QiError) -> TimeAmount {
        max(next(), error.retryAfter.map { min(TimeAmount($0), Self.longestTold) } ?? .zero)
    }
}

extension TimeAmount {
    static func / (amount: TimeAmount, divisor: Int64) -> TimeAmount { .nanoseconds(amount.nanoseconds / divisor) }
}
