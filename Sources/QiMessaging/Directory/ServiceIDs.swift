/// Which service ids a directory has given out: each at most once (wire reference §12). Pure.
///
/// Ids are given in order. One that was wished for, because a service had it before the directory lost its memory, may lie ahead
/// of the others.
struct ServiceIDs: Equatable {
    /// The lowest id that was never given out.
    private(set) var next: UInt32 = 2
    /// Ids above ``next`` that were.
    private(set) var ahead: Set<UInt32> = []

    /// The ids from here on are those of services that are looked up elsewhere (``LookUpIDs``).
    static let end: UInt32 = 0x4000_0000
    /// How many ids may lie ahead before a wish is not granted any more.
    static let maximumAhead = 65_536

    func wasGiven(_ id: UInt32) -> Bool { id < next || ahead.contains(id) }

    /// Whether a wish for `id` may be granted.
    func mayGive(_ id: UInt32) -> Bool { !wasGiven(id) && id < Self.end && ahead.count < Self.maximumAhead }

    /// The next id in order; nil when all were given.
    mutating func take() -> UInt32? {
        guard next < Self.end else { return nil }
        defer { take(next) }
        return next
    }

    /// Notes that `id` is given out.
    mutating func take(_ id: UInt32) {
        guard !wasGiven(id), id < Self.end else { return }
        ahead.insert(id)
        // A journal or a master may have more ahead than a wish may: the ids between are given up.
        if ahead.count > Self.maximumAhead, let last = ahead.max() {
            next = last + 1
            ahead = []
        }
        while ahead.remove(next) != nil { next += 1 }
    }

    /// Notes that every id below `id` may have been given out.
    mutating func skip(to id: UInt32) {
        guard id > next, id <= Self.end else { return }
        next = id
        ahead = ahead.filter { $0 >= id }
        while ahead.remove(next) != nil { next += 1 }
    }
}
