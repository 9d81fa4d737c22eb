/// Base64 for the blocks of in-band bytestreams: RFC 4648 §4 alphabet, always padded, no white space (XEP-0047 §2.2).
///
/// Works from buffer to buffer and is table driven: 12 bits at a time out, 6 bits at a time in.
enum Base64 {
    /// Characters that `count` bytes become.
    static func encodedCount(_ count: Int) -> Int { (count + 2) / 3 * 4 }

    /// Most bytes that `count` characters can hold.
    static func longestDecodedCount(_ count: Int) -> Int { count / 4 * 3 }

    /// Writes the characters of `source` to the start of `target`, which holds at least `encodedCount(source.count)` bytes,
    /// and returns how many they are.
    static func encode(_ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer) -> Int {
        let written = encodedCount(source.count)
        precondition(target.count >= written, "the target is too small for the characters")
        pairs.withUnsafeBufferPointer { pairs in
            var from = 0
            var to = 0
            // Six bytes a step, read as eight; the last steps take three.
            while from + 8 <= source.count {
                let bits = UInt64(bigEndian: source.loadUnaligned(fromByteOffset: from, as: UInt64.self))
                let low = UInt64(pairs[Int(bits >> 52)]) | UInt64(pairs[Int(bits >> 40 & 0xfff)]) << 16
                let high = UInt64(pairs[Int(bits >> 28 & 0xfff)]) | UInt64(pairs[Int(bits >> 16 & 0xfff)]) << 16
                target.storeBytes(of: (low | high << 32).littleEndian, toByteOffset: to, as: UInt64.self)
                from += 6
                to += 8
            }
            while from + 3 <= source.count {
                let bits = Int(source[from]) << 16 | Int(source[from + 1]) << 8 | Int(source[from + 2])
                target.storeBytes(of: pairs[bits >> 12].littleEndian, toByteOffset: to, as: UInt16.self)
                target.storeBytes(of: pairs[bits & 0xfff].littleEndian, toByteOffset: to + 2, as: UInt16.self)
                from += 3
                to += 4
            }
            guard from < source.count else { return }
            let isPair = from + 2 == source.count
            let bits = Int(source[from]) << 16 | (isPair ? Int(source[from + 1]) << 8 : 0)
            target.storeBytes(of: pairs[bits >> 12].littleEndian, toByteOffset: to, as: UInt16.self)
            target[to + 2] = isPair ? UInt8(truncatingIfNeeded: pairs[bits & 0xfff]) : padding
            target[to + 3] = padding
        }
        return written
    }

    /// Writes the bytes that `source` stands for to the start of `target`, which holds at least
    /// `longestDecodedCount(source.count)` bytes, and returns how many they are. Nil when the text is not canonical: a foreign
    /// character, a length that is no multiple of four, padding elsewhere than at the end, bits set below the padding.
    static func decode(_ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer) -> Int? {
        guard source.count % 4 == 0 else { return nil }
        guard source.count > 0 else { return 0 }
        precondition(target.count >= longestDecodedCount(source.count), "the target is too small for the bytes")
        return values.withUnsafeBufferPointer { values -> Int? in
            let last = source.count - 4
            var seen: UInt32 = 0
            var from = 0
            var to = 0
            // Eight characters a step, written as eight bytes of which six count; the last steps take four.
            while from + 8 <= last, to + 8 <= target.count {
                let first = quad(source, from, values)
                let second = quad(source, from + 4, values)
                seen |= first | second
                let bits = UInt64(first & 0xff_ffff) << 40 | UInt64(second & 0xff_ffff) << 16
                target.storeBytes(of: bits.bigEndian, toByteOffset: to, as: UInt64.self)
                from += 8
                to += 6
            }
            while from < last {
                let bits = quad(source, from, values)
                seen |= bits
                target[to] = UInt8(truncatingIfNeeded: bits >> 16)
                target[to + 1] = UInt8(truncatingIfNeeded: bits >> 8)
                target[to + 2] = UInt8(truncatingIfNeeded: bits)
                from += 4
                to += 3
            }
            guard seen & foreign == 0, let tail = decodeTail(source, last, values, into: target, at: to) else { return nil }
            return to + tail
        }
    }

    /// The last four characters, the only ones that may be padded: how many bytes they are, or nil.
    private static func decodeTail(
        _ source: UnsafeRawBufferPointer, _ from: Int, _ values: UnsafeBufferPointer<UInt32>,
        into target: UnsafeMutableRawBufferPointer, at to: Int
    ) -> Int? {
        let first = values[Int(source[from])]
        let second = values[Int(source[from + 1])]
        let isShort = source[from + 3] == padding
        let isShortest = isShort && source[from + 2] == padding
        let third = isShortest ? 0 : values[Int(source[from + 2])]
        let fourth = isShort ? 0 : values[Int(source[from + 3])]
        guard (first | second | third | fourth) & foreign == 0 else { return nil }
        let bits = first << 18 | second << 12 | third << 6 | fourth
        let count = isShortest ? 1 : isShort ? 2 : 3
        // Bits beyond the last byte must be zero, so that one text stands for one sequence of bytes (RFC 4648 §3.5).
        guard bits & (0xff_ffff >> (8 * UInt32(count))) == 0 else { return nil }
        target[to] = UInt8(truncatingIfNeeded: bits >> 16)
        if count > 1 { target[to + 1] = UInt8(truncatingIfNeeded: bits >> 8) }
        if count > 2 { target[to + 2] = UInt8(truncatingIfNeeded: bits) }
        return count
    }

    @inline(__always)
    private static func quad(_ source: UnsafeRawBufferPointer, _ at: Int, _ values: UnsafeBufferPointer<UInt32>) -> UInt32 {
        let first = values[Int(source[at])]
        let second = values[Int(source[at + 1])]
        let third = values[Int(source[at + 2])]
        let fourth = values[Int(source[at + 3])]
        // A foreign character has only the top bit, which the shifts would push out.
        return first << 18 | second << 12 | third << 6 | fourth | ((first | second | third | fourth) & foreign)
    }

    private static let padding = UInt8(ascii: "=")
    private static let foreign: UInt32 = 0x8000_0000
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// Two characters for each 12 bits, the first in the low byte.
    private static let pairs: [UInt16] = (0..<4096).map { bits in
        UInt16(alphabet[bits >> 6]) | UInt16(alphabet[bits & 63]) << 8
    }

    /// Six bits for each character, ``foreign`` for every other byte.
    private static let values: [UInt32] = {
        var values = [UInt32](repeating: foreign, count: 256)
        for (value, character) in alphabet.enumerated() { values[Int(character)] = UInt32(value) }
        return values
    }()
}
