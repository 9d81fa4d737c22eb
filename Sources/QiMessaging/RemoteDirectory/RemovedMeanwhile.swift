/// Services that were removed while a question about some was under way: what its answer says of them is void. Pure.
struct RemovedMeanwhile {
    private var questions = 0
    private var removed: Set<UInt32> = []

    /// Most ids that are remembered; questions end within seconds.
    static let maximum = 65_536

    /// A question about a service is sent; it owes an ``answered()``.
    mutating func asked() { questions += 1 }

    mutating func answered() {
        questions -= 1
        if questions == 0 { removed = [] }
    }

    /// The directory tells that a service is gone.
    mutating func remove(_ id: UInt32) {
        if questions > 0, removed.count < Self.maximum { removed.insert(id) }
    }

    func contains(_ id: UInt32) -> Bool { removed.contains(id) }
}
