@testable import QiMessaging
import Testing

struct IDTableTests {
    private final class Box: Sendable {
        let number: Int
        init(_ number: Int) { self.number = number }
    }

    /// The same as a dictionary does, whatever the order.
    @Test(arguments: [UInt32(1), 3, 1 << 12, 1 << 20])
    func holdsWhatADictionaryHolds(apart: UInt32) {
        var generator = SystemRandomNumberGenerator()
        var table = IDTable<Box>()
        var expected: [UInt32: Box] = [:]
        for number in 0..<20_000 {
            // Few ids, so that they come again; as far apart as makes them collide.
            let id = UInt32.random(in: 0..<300, using: &generator) &* apart
            if Bool.random(using: &generator) {
                let box = Box(number)
                table.insert(box, at: id)
                expected[id] = box
            } else {
                table.remove(id)
                expected[id] = nil
            }
            guard table.count == expected.count, table[id] === expected[id] else {
                Issue.record("id \(id) after \(number) steps")
                return
            }
        }
        for id in (0..<300).map({ UInt32($0) &* apart }) where table[id] !== expected[id] { Issue.record("id \(id) at the end") }
        let values = table.removeAll()
        #expect(values.count == expected.count)
        #expect(table.isEmpty && table[0] == nil)
    }

    /// Ids that a peer spaces as it likes.
    @Test(arguments: 0..<32)
    func findsIdsQuicklyThatAreFarApart(bits: UInt32) {
        var longest: [Int] = []
        // What a factor is bad for is another's best: half of the tables are to be good.
        for _ in 0..<9 {
            var table = IDTable<Box>()
            let box = Box(0)
            for number in 0..<1_024 { table.insert(box, at: UInt32(number) << bits) }
            longest.append(table.longestWay)
        }
        #expect(longest.sorted()[4] < 64)
    }
}
