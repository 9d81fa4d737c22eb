/// Which slots of which segments carry payloads now, on the side that writes them. Pure.
///
/// There are three segments, of small, middle and big slots, each made when a payload first needs it and kept while the connection
/// lives. What fits no free slot goes over the socket.
struct SharedMemoryPool {
    /// The slots of one segment.
    struct Shape: Equatable {
        let slotSize: Int
        let slots: Int
        var size: Int { slotSize * slots }
    }

    /// By segment number.
    static let shapes = [
        Shape(slotSize: 1 << 20, slots: 8), Shape(slotSize: 4 << 20, slots: 4), Shape(slotSize: 16 << 20, slots: 2),
    ]

    enum OnPayload: Equatable {
        /// Write it there; the slot is taken.
        case use(segment: Int, offset: Int)
        /// Send this one over the socket, and make the segment for those to come.
        case make(segment: Int)
        case socket
    }

    private enum State: Equatable {
        case absent
        /// Made, and not yet taken by the peer.
        case offered
        /// Bit n: slot n is free.
        case ready(free: UInt32)
        /// The peer does not want it, or it cannot be made.
        case refused
    }

    private var states = [State](repeating: .absent, count: shapes.count)

    mutating func payload(of bytes: Int) -> OnPayload {
        var isBest = true
        for (segment, shape) in Self.shapes.enumerated() where shape.slotSize >= bytes {
            defer { isBest = false }
            switch states[segment] {
            case .absent:
                // A burst may use bigger slots that are there, and makes none for it.
                guard isBest else { continue }
                states[segment] = .offered
                return .make(segment: segment)
            case .ready(let free) where free != 0:
                let slot = free.trailingZeroBitCount
                states[segment] = .ready(free: free & ~(1 << UInt32(slot)))
                return .use(segment: segment, offset: slot * shape.slotSize)
            case .ready, .offered, .refused: continue
            }
        }
        return .socket
    }

    /// The peer has mapped a segment, or will not. False when it was not asked: the peer lies.
    mutating func answered(_ segment: Int, accepted: Bool) -> Bool {
        guard states.indices.contains(segment), states[segment] == .offered else { return false }
        let slots = UInt32(Self.shapes[segment].slots)
        states[segment] = accepted ? .ready(free: (1 << slots) - 1) : .refused
        return true
    }

    /// A segment could not be made.
    mutating func failed(_ segment: Int) { states[segment] = .refused }

    /// The peer has read a slot. False when nothing was in it: the peer lies.
    mutating func released(_ segment: Int, offset: Int) -> Bool {
        guard states.indices.contains(segment), case .ready(let free) = states[segment] else { return false }
        let shape = Self.shapes[segment]
        guard offset >= 0, offset % shape.slotSize == 0, offset / shape.slotSize < shape.slots else { return false }
        let bit = UInt32(1) << UInt32(offset / shape.slotSize)
        guard free & bit == 0 else { return false }
        states[segment] = .ready(free: free | bit)
        return true
    }
}
