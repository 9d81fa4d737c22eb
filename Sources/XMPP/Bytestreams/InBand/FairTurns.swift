import DequeModule

/// Whose turn it is: everybody who waits gets one block, in order of asking (round robin).
struct FairTurns<Waiter: Hashable & Sendable>: Sendable {
    private var queue = Deque<Waiter>()
    private var waiting = Set<Waiter>()

    /// Whether nobody waits.
    var isEmpty: Bool { waiting.isEmpty }

    /// Puts somebody at the end, unless it waits already.
    mutating func wait(_ waiter: Waiter) {
        if waiting.insert(waiter).inserted { queue.append(waiter) }
    }

    /// Takes the first; nil when nobody waits.
    mutating func next() -> Waiter? {
        guard let first = queue.popFirst() else { return nil }
        waiting.remove(first)
        return first
    }

    /// Puts the one that was just taken back to the front: its turn was not used.
    mutating func putBack(_ waiter: Waiter) {
        if waiting.insert(waiter).inserted { queue.prepend(waiter) }
    }

    /// Forgets somebody.
    mutating func remove(_ waiter: Waiter) {
        guard waiting.remove(waiter) != nil, let index = queue.firstIndex(of: waiter) else { return }
        queue.remove(at: index)
    }
}
