/// To which kind of path a stream is kept: by the owner of its node until further notice, and by commands for as long as each of them runs.
/// Of several commands the one that came last counts, and all of them count before the owner. A pure value.
struct PathHolds {
    /// Commands at one time: each is a connection of this node's owner.
    static let most = 64

    /// What the owner keeps it to; nil: to none.
    private(set) var lasting: PathKind?
    private var passing: [(number: UInt64, kind: PathKind)] = []
    private var nextNumber: UInt64 = 1

    /// The only kind that is used now; nil: the best there is.
    var kind: PathKind? { passing.last?.kind ?? lasting }

    /// The owner keeps it to a kind; nil: to none.
    mutating func keep(to kind: PathKind?) { lasting = kind }

    /// A command keeps it to a kind. What ``end(_:)`` takes; nil when ``most`` do so already.
    mutating func begin(_ kind: PathKind) -> UInt64? {
        guard passing.count < Self.most else { return nil }
        defer { nextNumber += 1 }
        passing.append((nextNumber, kind))
        return nextNumber
    }

    /// That command is over.
    mutating func end(_ number: UInt64) { passing.removeAll { $0.number == number } }
}
