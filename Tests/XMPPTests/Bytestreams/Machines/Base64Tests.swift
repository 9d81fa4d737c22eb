import Testing

@testable import XMPP

@Suite struct Base64Tests {
    /// RFC 4648 §10.
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ])
    func vectorsOfTheRFC(_ bytes: String, _ text: String) {
        #expect(encode(Array(bytes.utf8)) == text)
        #expect(decode(text) == Array(bytes.utf8))
    }

    @Test func everyByteAndEveryLengthSurvives() {
        for count in 0...300 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ count) }
            #expect(decode(encode(bytes)) == bytes)
        }
    }

    @Test func everyCharacterOfTheAlphabetHasItsPlace() {
        let text = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        let bytes = decode(text)
        #expect(bytes?.count == 48)
        #expect(bytes.map(encode) == text)
        #expect(bytes?.prefix(3) == [0x00, 0x10, 0x83])
    }

    @Test(arguments: [
        "A", "AA", "AAA", "AAAAA", "AA=", "A===", "====", "=AAA", "AA=A", "AAAA=AAA", "AA==AAAA", "AAAA\n", "AA A", "AAA-",
        "AAA_", "AAA\u{0}", "Zh==", "Zm9=", "AAAé", " AAAA   ",
    ])
    func whatIsNotCanonicalIsRefused(_ text: String) {
        #expect(decode(text) == nil)
    }

    @Test func everyForeignByteIsRefusedEverywhere() {
        let alphabet = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        for byte in UInt8.min...UInt8.max where !alphabet.contains(byte) {
            for place in 0..<8 where byte != UInt8(ascii: "=") || place != 7 {
                var text = Array("AAAAAAAA".utf8)
                text[place] = byte
                #expect(decode(text) == nil, "byte \(byte) at \(place)")
            }
        }
    }

    @Test func countsAreThoseOfTheCharacters() {
        for count in 0...50 { #expect(Base64.encodedCount(count) == encode([UInt8](repeating: 1, count: count)).utf8.count) }
        #expect(Base64.longestDecodedCount(8) == 6)
    }

    private func encode(_ bytes: [UInt8]) -> String {
        var target = [UInt8](repeating: 0, count: Base64.encodedCount(bytes.count))
        let count = bytes.withUnsafeBytes { source in target.withUnsafeMutableBytes { Base64.encode(source, into: $0) } }
        return String(decoding: target.prefix(count), as: UTF8.self)
    }

    private func decode(_ text: String) -> [UInt8]? { decode(Array(text.utf8)) }

    private func decode(_ text: [UInt8]) -> [UInt8]? {
        var target = [UInt8](repeating: 0, count: Base64.longestDecodedCount(text.count))
        let count = text.withUnsafeBytes { source in target.withUnsafeMutableBytes { Base64.decode(source, into: $0) } }
        return count.map { Array(target.prefix($0)) }
    }
}
