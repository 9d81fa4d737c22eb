import Foundation
import Testing

@testable import QiMesh

@Suite struct RefusedKeysTests {
    private func date(_ seconds: Int) -> Date { Date(timeIntervalSince1970: TimeInterval(seconds)) }

    @Test func theLastKeyCountsAndKeepsItsDate() {
        var refused = RefusedKeys()
        refused.note(jid: "a", key: key(2), at: date(1))
        refused.note(jid: "a", key: key(3), at: date(2))
        refused.note(jid: "a", key: key(3), at: date(3))
        #expect(refused["a"] == RefusedKey(jid: "a", key: key(3), date: date(2)))
        let (first, second) = (refused.remove(jid: "a"), refused.remove(jid: "a"))
        #expect(first && !second && refused["a"] == nil)
    }

    @Test func isBoundedByDroppingTheOldest() {
        var refused = RefusedKeys()
        for index in 0...RefusedKeys.limit { refused.note(jid: "\(index)", key: key(1), at: date(index)) }
        #expect(refused.count == RefusedKeys.limit)
        #expect(refused["0"] == nil && refused["1"] != nil)
    }
}
