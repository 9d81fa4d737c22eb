@testable import QiMessaging
import Testing

struct ActionTableTests {
    @Test(arguments: [
        ("dense", [100, 101, 102]), ("generic members", [0, 5, 99, 100]), ("sparse", [100, 5_000, 0x8000_0000, .max]), ("one, late", [160]),
    ] as [(String, [UInt32])])
    func everyMemberIsFound(_ name: String, _ uids: [UInt32]) {
        let table = ActionTable(uids.map { ($0, "member \($0)") })
        for uid in uids { #expect(table[uid] == "member \(uid)", "\(name)") }
        for uid in [1, 98, 103, 110, 161, 4_999, 0x7FFF_FFFF, .max - 1] as [UInt32] { #expect(table[uid] == nil, "\(name): \(uid)") }
    }

    @Test func theFirstOfTwoCounts() {
        let table = ActionTable([(100, "a"), (100, "b"), (9_999, "c"), (9_999, "d")] as [(UInt32, String)])
        #expect(table[100] == "a")
        #expect(table[9_999] == "c")
    }
}
