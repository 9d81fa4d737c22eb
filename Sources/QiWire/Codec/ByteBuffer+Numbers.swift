import NIOCore

// A list of numbers in one access to the buffer's storage: each of NIO's own calls checks exclusivity and uniqueness again, which
// for
// four bytes costs ten times the copy.
extension ByteBuffer {
    @inline(__always)
    mutating func writeNumbers<Number>(_ numbers: [Number], _ bits: (Number) -> UInt64) {
        let width = MemoryLayout<Number>.size
        writeWithOutputRawSpan(minimumWritableBytes: numbers.count * width) { span in
            for number in numbers { span.appendLittleEndian(bits(number), bytes: width) }
        }
    }

    /// `count` was checked against the bytes that are left.
    @inline(__always)
    mutating func readNumbers<Number>(_ count: Int, _ number: (UInt64) -> Number) throws(WireError) -> [Number] {
        let width = MemoryLayout<Number>.size
        guard count * width <= readableBytes else { throw .truncated("a list of \(count) numbers") }
        let numbers = peekNumbers(count, number)
        moveReaderIndex(forwardBy: count * width)
        return numbers
    }

    @inline(__always)
    private func peekNumbers<Number>(_ count: Int, _ number: (UInt64) -> Number) -> [Number] {
        let width = MemoryLayout<Number>.size
        var numbers: [Number] = []
        numbers.reserveCapacity(count)
        let bytes = readableBytesUInt8Span
        var position = 0
        for _ in 0..<count {
            var bits: UInt64 = 0
            for index in 0..<width { bits |= UInt64(bytes[position + index]) << UInt64(8 * index) }
            numbers.append(number(bits))
            position += width
        }
        return numbers
    }
}

extension OutputRawSpan {
    @inline(__always)
    fileprivate mutating func appendLittleEndian(_ value: UInt64, bytes: Int) {
        for index in 0..<bytes { append(UInt8(truncatingIfNeeded: value >> UInt64(8 * index))) }
    }
}
