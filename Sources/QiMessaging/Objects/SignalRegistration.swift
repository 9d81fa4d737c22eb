/// A signal that its owner is asked for: the calls of `registerEvent` with one link that are not answered yet, and those who wait for them.
/// The first call says whether only the last event counts. The others say it again in the order of other clients' calls, and never that only
/// the last event counts, so that a late one takes nothing back from a subscriber that wants all. A pure value.
struct SignalRegistration<Waiter> {
    let link: UInt64
    /// What the first call says.
    let isLatest: Bool
    /// What the owner was told before; nil: nothing.
    let before: Bool?
    /// Whether a call failed that the owner may have heard all the same.
    private(set) var mayBeThere = false
    /// Whether one of the others was confirmed before the first.
    private var isThere = false
    private let first: UInt64
    /// There is one at least.
    private var calls: [(number: UInt64, waiting: [Waiter])]

    /// What an answer means; who waited for it.
    enum Outcome {
        /// The owner sends the events.
        case confirmed([Waiter])
        /// It may not; nothing else is under way.
        case failed([Waiter])
        /// This call failed, others are under way.
        case failedAlone([Waiter])
        /// The owner knows the link, but what the first call should have told has to be told again.
        case again([Waiter])
        /// The first call decides.
        case pending
    }

    init(_ link: UInt64, isLatest: Bool, before: Bool?, call number: UInt64, _ waiting: [Waiter]) {
        self.link = link
        self.isLatest = isLatest
        self.before = before
        first = number
        calls = [(number, waiting)]
    }

    /// All who wait, in the order in which they came.
    var waiting: [Waiter] { calls.flatMap(\.waiting) }

    /// Waits for what is under way.
    mutating func join(_ waiter: Waiter) { calls[calls.count - 1].waiting.append(waiter) }

    /// The owner is told once more, for this one.
    mutating func add(call number: UInt64, _ waiter: Waiter) { calls.append((number, [waiter])) }

    /// A call was answered. Nil when it is none of these.
    ///
    /// - Parameters:
    ///   - isConfirmed: whether by a reply.
    ///   - isLost: whether it failed, and the owner may have heard it all the same.
    mutating func answered(_ number: UInt64, isConfirmed: Bool, isLost: Bool) -> Outcome? {
        guard let index = calls.firstIndex(where: { $0.number == number }) else { return nil }
        let all = waiting
        let own = calls.remove(at: index).waiting
        mayBeThere = mayBeThere || isLost
        isThere = isThere || isConfirmed
        if isConfirmed, !isLatest || number == first || calls.first?.number != first { return .confirmed(all) }
        if isThere {
            // Without the first one that was its answer.
            guard number != first, !calls.isEmpty else { return .again(all) }
            calls[0].waiting += own
            return .pending
        }
        return calls.isEmpty ? .failed(own) : .failedAlone(own)
    }
}
