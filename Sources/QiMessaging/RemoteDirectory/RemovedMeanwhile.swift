/// Services that were removed while a question about some was under way: what an answer says of one that was removed after the question
/// was sent is void. Pure.
struct RemovedMeanwhile {
    /// A question, in the order in which they are sent.
    typealias Question = UInt64

    private var next: Question = 0
    private var running: Set<Question> = []
    /// When an id was removed: before the question of that number.
    private var removed: [UInt32: Question] = [:]
    /// Answers to all questions before this one are void: more was removed meanwhile than is remembered.
    private var floor: Question = 0

    /// Most ids that are remembered.
    static let maximum = 65_536

    /// A question about a service is sent; it owes an ``answered(_:)``.
    mutating func asked() -> Question {
        defer { next += 1 }
        running.insert(next)
        return next
    }

    mutating func answered(_ question: Question) {
        running.remove(question)
        if running.isEmpty { removed = [:] }
    }

    /// The directory tells that a service is gone.
    mutating func remove(_ id: UInt32) {
        guard !running.isEmpty else { return }
        if removed[id] == nil, removed.count >= Self.maximum {
            removed = [:]
            floor = next
        } else {
            removed[id] = next
        }
    }

    /// The directory tells that a service is there.
    mutating func add(_ id: UInt32) { removed[id] = nil }

    /// Whether a service was removed after the question was sent.
    func contains(_ id: UInt32, since question: Question) -> Bool {
        question < floor || removed[id].map { $0 > question } ?? false
    }
}
