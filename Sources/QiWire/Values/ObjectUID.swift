/// The identity of an object across all references to it: 20 bytes, in libqi a SHA-1 (reference §17).
public struct ObjectUID: Hashable, Sendable, CustomStringConvertible {
    /// The number of bytes, 20.
    public static let length = 20

    private var first: UInt64
    private var second: UInt64
    private var third: UInt32

    /// All zero; what a null reference carries when nobody gave it a uid.
    public static let zero = ObjectUID(first: 0, second: 0, third: 0)

    init(first: UInt64, second: UInt64, third: UInt32) {
        self.first = first
        self.second = second
        self.third = third
    }

    /// Takes exactly 20 bytes, nil for another number.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == ObjectUID.length else { return nil }
        let bytes = Array(bytes)
        func integer(_ range: Range<Int>) -> UInt64 { bytes[range].reduce(0) { $0 << 8 | UInt64($1) } }
        self.init(first: integer(0..<8), second: integer(8..<16), third: UInt32(truncatingIfNeeded: integer(16..<20)))
    }

    /// The 20 bytes.
    public var bytes: [UInt8] {
        func split(_ value: UInt64, _ count: Int) -> [UInt8] {
            (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * (count - 1 - $0))) }
        }
        return split(first, 8) + split(second, 8) + split(UInt64(third), 4)
    }

    /// Forty hexadecimal digits.
    public var description: String {
        let digits = Array("0123456789abcdef")
        var text = ""
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return text
    }

    /// The parts as they lie on the wire, most significant byte first.
    var parts: (UInt64, UInt64, UInt32) { (first, second, third) }
}
