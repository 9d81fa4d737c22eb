/// The ids of sessions and bytestreams: `NMTOKEN`s (XEP-0047 §7, XEP-0166 §16), narrowed to ASCII so that they can stand in
/// an attribute unescaped.
enum StreamName {
    /// Most bytes of a peer's.
    static let longest = 256

    /// Whether a peer's id can be used.
    static func isValid(_ text: String) -> Bool {
        1...longest ~= text.utf8.count && text.utf8.allSatisfy(isNameByte)
    }

    /// A new id of 128 random bits.
    static func random() -> String {
        var generator = SystemRandomNumberGenerator()
        var name = ""
        for _ in 0..<2 {
            let half = String(generator.next() as UInt64, radix: 16)
            name += String(repeating: "0", count: 16 - half.utf8.count) + half
        }
        return name
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."),
            UInt8(ascii: ":"):
            true
        default: false
        }
    }
}
