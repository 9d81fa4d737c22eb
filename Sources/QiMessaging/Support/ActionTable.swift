import QiWire

/// Members of one object, found by uid: as an array while the uids are small and dense, which ours and libqi's always are. The first of
/// two with one uid counts.
struct ActionTable<Member: Sendable>: Sendable {
    private var small: [Member?] = []
    private var others: [UInt32: Member] = [:]

    init(_ members: [(uid: UInt32, member: Member)]) {
        // A peer that names one member #4294967295 must not cost us an array of that size.
        let size = 4 * members.count + 64
        for (uid, member) in members {
            let index = Int(uid) - Int(WellKnownActions.firstUserAction)
            guard (0..<size).contains(index) else {
                if others[uid] == nil { others[uid] = member }
                continue
            }
            if small.count <= index { small.append(contentsOf: repeatElement(nil, count: index + 1 - small.count)) }
            if small[index] == nil { small[index] = member }
        }
    }

    subscript(uid: UInt32) -> Member? {
        let index = Int(uid) - Int(WellKnownActions.firstUserAction)
        if small.indices.contains(index) { return small[index] }
        return others.isEmpty ? nil : others[uid]
    }
}
