import Testing

@testable import QiWire

@Suite struct CutTests {
    @Test(arguments: [
        ("abc", 3, "abc"), ("abcd", 3, "abc"), ("aé", 2, "a"), ("aéb", 3, "aé"), ("😀😀", 7, "😀"), ("😀", 3, ""), ("", 0, ""), ("a", 0, ""),
        ("a", -1, ""),
    ])
    func aTextIsCutBetweenTwoScalars(_ text: String, _ limit: Int, _ beginning: String) {
        #expect(text.cut(toBytes: limit) == beginning)
        #expect(text[...].cut(toBytes: limit) == beginning)
    }

    /// One character of a megabyte: `prefix(1)` is all of it.
    @Test func aTowerOfMarksIsCutAsWell() {
        let tower = "e" + String(repeating: "\u{301}", count: 1 << 19)
        #expect(tower.count == 1)
        let cut = tower.cut(toBytes: 100)
        #expect(cut.utf8.count == 99 && cut.unicodeScalars.allSatisfy { $0 == "e" || $0 == "\u{301}" })
    }
}
