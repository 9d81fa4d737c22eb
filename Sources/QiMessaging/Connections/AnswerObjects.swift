import QiWire

/// Objects that were given an address for an answer which may still be taken back: they go with it, for the peer never hears of them. A
/// pure value.
struct AnswerObjects {
    private var known: [UInt32: (target: ObjectAddress, objects: [ObjectAddress])] = [:]

    var count: Int { known.count }
    var isEmpty: Bool { known.isEmpty }

    /// Another answer to a call of that id is on its way: the one before has arrived.
    mutating func forget(answerTo id: UInt32) { known[id] = nil }

    /// An answer with objects is on its way.
    ///
    /// - Parameter waits: whether an answer has not all left yet. Others are forgotten: so these are no more than wait.
    mutating func keep(_ objects: [ObjectAddress], ofAnswerTo id: UInt32, _ target: ObjectAddress, waits: (UInt32, ObjectAddress) -> Bool) {
        known = known.filter { waits($0.key, $0.value.target) }
        known[id] = (target, objects)
    }

    /// The answer was taken back.
    mutating func take(ofAnswerTo id: UInt32, _ target: ObjectAddress) -> [ObjectAddress] {
        guard let entry = known[id], entry.target == target else { return [] }
        known[id] = nil
        return entry.objects
    }
}
