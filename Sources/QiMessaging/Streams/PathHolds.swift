/// To which kind of path a stream is kept: by the owner of its node until further notice, and by commands for as long as each of them runs.
/// All commands keep it to the same kind, and count before the owner. A pure value.
struct PathHolds {
    /// One command: the connection by which it asks, on the bus loop of that name.
    struct Holder: Hashable, Sendable {
        let bus: ObjectIdentifier
        let connection: UInt64
    }

    /// Commands at one time: each is a connection of this node's owner.
    static let most = 64

    /// What the owner keeps it to; nil: to none.
    private(set) var lasting: PathKind?
    private var passing: [Holder: PathKind] = [:]

    /// The only kind that is used now; nil: the best there is.
    var kind: PathKind? { passing.first?.value ?? lasting }

    /// The owner keeps it to a kind; nil: to none.
    mutating func keep(to kind: PathKind?) { lasting = kind }

    /// Why a command cannot keep it to a kind.
    enum Refusal: Equatable {
        /// Another command keeps it to that one.
        case kept(PathKind)
        /// ``most`` commands keep it already.
        case tooMany
    }

    /// A command keeps it to a kind, in place of the kind to which it kept it before. Nil when it does now.
    mutating func begin(_ kind: PathKind, for holder: Holder) -> Refusal? {
        if let other = passing.first(where: { $0.key != holder && $0.value != kind }) { return .kept(other.value) }
        guard passing[holder] != nil || passing.count < Self.most else { return .tooMany }
        passing[holder] = kind
        return nil
    }

    /// That command is over.
    mutating func end(for holder: Holder) { passing[holder] = nil }
}
