import NIOCore

/// The bytes that a fuzzer made, taken from the front piece by piece; past the end everything is zero or empty.
struct FuzzInput {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    var isEmpty: Bool { rest.isEmpty }

    mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

    mutating func number16() -> Int { Int(byte()) | Int(byte()) << 8 }

    mutating func bytes(_ count: Int) -> [UInt8] {
        let taken = rest.prefix(count)
        rest = rest.dropFirst(count)
        return Array(taken)
    }

    /// Bytes behind their count, which is one byte and never beyond `limit`.
    mutating func shortBytes(limit: Int) -> [UInt8] { bytes(Int(byte()) % (limit + 1)) }

    mutating func remaining() -> ByteBuffer {
        defer { rest = [] }
        return ByteBuffer(bytes: rest)
    }
}
