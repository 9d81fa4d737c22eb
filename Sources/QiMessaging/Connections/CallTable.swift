import NIOCore
import QiWire

/// The calls that wait for an answer on one connection, found by message id in constant time.
///
/// A message id is a slot number and the slot's generation, so an answer that comes late (after a deadline or a
/// cancellation) never meets the call that uses the slot now. Ids need only be unique among the outstanding calls of one
/// direction (wire reference §2).
struct CallTable<Completion> {
    struct Entry {
        var completion: Completion
        let address: ActionAddress
        var end: CallEnd
        /// Told of a reply that comes when the call was given up.
        var late: LateReply?
    }

    private enum Slot {
        case free(next: Int32)
        case used(Entry)
    }

    private static var slotBits: UInt32 { 16 }
    private static var capacity: Int { 1 << 16 }

    private var slots: [Slot] = []
    private var generations: [UInt16] = []
    /// Where the call of each slot went, which is looked at before it is taken out.
    private var addresses: [ActionAddress] = []
    private var firstFree: Int32 = -1
    private(set) var count = 0
    /// How many entries have a deadline, so that a table without any costs nothing per tick.
    private(set) var deadlines = 0
    /// How many of those that wait for the clock to be looked at (``CallEnd/within(_:)``, ``CallEnd/by(_:)``).
    private(set) var young = 0

    /// The id for a new call, or nil when 65 536 are outstanding.
    mutating func insert(
        _ completion: Completion, address: ActionAddress, end: CallEnd, late: LateReply? = nil
    ) -> UInt32? {
        let index: Int
        if firstFree >= 0 {
            index = Int(firstFree)
            guard case .free(let next) = slots[index] else { return nil }
            firstFree = next
            slots[index] = .used(Entry(completion: completion, address: address, end: end, late: late))
            addresses[index] = address
        } else {
            guard slots.count < Self.capacity else { return nil }
            index = slots.count
            slots.append(.used(Entry(completion: completion, address: address, end: end, late: late)))
            addresses.append(address)
            generations.append(1)
        }
        count += 1
        countEnd(end, 1)
        return UInt32(generations[index]) << Self.slotBits | UInt32(index)
    }

    /// The address a call was sent to, while it is outstanding.
    func address(of id: UInt32) -> ActionAddress? {
        let index = Int(id & 0xFFFF)
        guard index < slots.count, generations[index] == UInt16(id >> Self.slotBits), case .used = slots[index] else { return nil }
        return addresses[index]
    }

    private mutating func countEnd(_ end: CallEnd, _ change: Int) {
        switch end {
        case .never: break
        case .at: deadlines += change
        case .within, .by: young += change
        }
    }

    /// Takes a call out of the table; nil when the id is not outstanding.
    ///
    /// - Parameter address: where the call must have been sent to; nil is anywhere.
    mutating func remove(_ id: UInt32, sentTo address: ActionAddress? = nil) -> Entry? {
        let index = Int(id & 0xFFFF)
        guard index < slots.count, generations[index] == UInt16(id >> Self.slotBits), address == nil || addresses[index] == address
        else { return nil }
        // Moved out, not copied.
        var slot = Slot.free(next: firstFree)
        swap(&slots[index], &slot)
        guard case .used(let entry) = slot else {
            slots[index] = slot
            return nil
        }
        firstFree = Int32(index)
        // Generation 0 is left out: with slot 0 it would make id 0, which libqi uses for "none".
        generations[index] = generations[index] == .max ? 1 : generations[index] + 1
        count -= 1
        countEnd(entry.end, -1)
        return entry
    }

    /// The ids whose deadline has passed.
    func expired(at now: NIODeadline) -> [UInt32] {
        guard deadlines > 0 else { return [] }
        return slots.indices.compactMap { index in
            guard case .used(let entry) = slots[index], case .at(let deadline) = entry.end, deadline <= now else { return nil }
            return UInt32(generations[index]) << Self.slotBits | UInt32(index)
        }
    }

    /// Gives every young call its deadline.
    ///
    /// - Parameter patient: what becomes of one's completion, given its id: its caller may have to be told that it takes longer.
    mutating func mature(at now: NIODeadline, _ patient: (UInt32, Completion) -> Completion) {
        for index in slots.indices {
            guard young > 0 else { return }
            guard case .used(var entry) = slots[index], let deadline = entry.end.deadline(at: now) else { continue }
            entry.end = .at(deadline)
            entry.completion = patient(UInt32(generations[index]) << Self.slotBits | UInt32(index), entry.completion)
            slots[index] = .used(entry)
            young -= 1
            deadlines += 1
        }
    }

    /// Every outstanding call, taken out.
    mutating func removeAll() -> [Entry] {
        let entries = slots.compactMap { slot -> Entry? in
            if case .used(let entry) = slot { entry } else { nil }
        }
        self = CallTable()
        return entries
    }
}

/// When a call is given up.
enum CallEnd {
    case never
    case at(NIODeadline)
    /// So long after it was made, by a clock that is looked at for many calls at once (``Bus/patience``): most are answered before.
    case within(Duration)

    /// At a time, and young until then as one of ``within(_:)``.
    case by(NIODeadline)

    /// The deadline of one that is young.
    func deadline(at now: NIODeadline) -> NIODeadline? {
        switch self {
        case .never, .at: nil
        case .within(let time): now + TimeAmount(time)
        case .by(let deadline): deadline
        }
    }

    init(_ deadline: NIODeadline?) { self = deadline.map(CallEnd.at) ?? .never }
}
