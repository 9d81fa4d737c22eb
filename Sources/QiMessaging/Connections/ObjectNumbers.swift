/// The ids that objects sent as values get on one connection. Returned objects count from 3, passed ones from 2^31, so that the two
/// never collide (wire reference §5).
struct ObjectNumbers {
    private var nextReturned: UInt32 = 3
    private var nextPassed: UInt32 = 0x8000_0000

    mutating func next(isPassed: Bool) -> UInt32 {
        if isPassed {
            defer { nextPassed = nextPassed == .max ? 0x8000_0000 : nextPassed + 1 }
            return nextPassed
        }
        defer { nextReturned = nextReturned == 0x7FFF_FFFF ? 3 : nextReturned + 1 }
        return nextReturned
    }
}
