/// Values by the message id of their peer: a hash table for numbers that a peer chooses, with one multiplication where `Dictionary` takes
/// a hundred instructions. Open addressing; what was removed leaves no gap. The high bits of the product with a factor of its own decide
/// (multiply-shift hashing): which ids collide differs from table to table.
struct IDTable<Value: AnyObject> {
    private struct Slot {
        var id: UInt32 = 0
        var value: Value?
    }

    private var slots: [Slot] = []
    /// Odd.
    private let factor = UInt64.random(in: .min ... .max) | 1
    /// So that as many bits are left as number the slots.
    private var shift: UInt64 = 64
    private(set) var count = 0

    private static var least: Int { 16 }

    var isEmpty: Bool { count == 0 }

    /// A power of two, of which more than half is never used.
    private var mask: Int { slots.count - 1 }

    private func home(of id: UInt32) -> Int {
        Int(truncatingIfNeeded: (UInt64(id) &* factor) >> shift)
    }

    /// Where the id is, or would be put. There is a free slot.
    private func place(of id: UInt32) -> Int {
        var index = home(of: id)
        while slots[index].value != nil, slots[index].id != id { index = (index + 1) & mask }
        return index
    }

    subscript(id: UInt32) -> Value? {
        count == 0 ? nil : slots[place(of: id)].value
    }

    /// Puts a value under an id that has none, or in the place of the one it has.
    mutating func insert(_ value: Value, at id: UInt32) {
        if (count + 1) * 2 > slots.count { grow() }
        let index = place(of: id)
        if slots[index].value == nil { count += 1 }
        slots[index] = Slot(id: id, value: value)
    }

    mutating func remove(_ id: UInt32) {
        guard count > 0 else { return }
        var gap = place(of: id)
        guard slots[gap].value != nil else { return }
        slots[gap].value = nil
        count -= 1
        // What stands behind comes nearer to its home, where the gap is on its way from there.
        var index = (gap + 1) & mask
        while slots[index].value != nil {
            let home = home(of: slots[index].id)
            if (index - home) & mask >= (index - gap) & mask {
                slots.swapAt(gap, index)
                gap = index
            }
            index = (index + 1) & mask
        }
    }

    /// Takes everything out.
    mutating func removeAll() -> [Value] {
        let values = slots.compactMap(\.value)
        slots = []
        count = 0
        return values
    }

    /// For tests: the longest way from the home of an id to its place, which is what a look-up costs at most.
    var longestWay: Int {
        slots.indices.reduce(0) { slots[$1].value == nil ? $0 : max($0, ($1 - home(of: slots[$1].id)) & mask) }
    }

    private mutating func grow() {
        let old = slots
        slots = [Slot](repeating: Slot(), count: max(Self.least, old.count * 2))
        shift = UInt64(64 - slots.count.trailingZeroBitCount)
        for slot in old where slot.value != nil { slots[place(of: slot.id)] = slot }
    }
}
