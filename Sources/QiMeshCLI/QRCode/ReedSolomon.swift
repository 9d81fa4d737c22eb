/// Error correction over the field of 256 elements with the polynomial x⁸ + x⁴ + x³ + x² + 1 (ISO/IEC 18004 §7.5).
struct ReedSolomon {
    /// The generator without its leading 1, the highest power first.
    private let generator: [UInt8]

    /// For that many error correction codewords: the product of (x − 2ⁱ) for i below it.
    init(degree: Int) {
        var generator = [UInt8](repeating: 0, count: degree)
        if degree > 0 { generator[degree - 1] = 1 }
        var root: UInt8 = 1
        for _ in 0..<degree {
            for index in generator.indices {
                generator[index] = Self.multiply(generator[index], root)
                if index + 1 < degree { generator[index] ^= generator[index + 1] }
            }
            root = Self.multiply(root, 2)
        }
        self.generator = generator
    }

    /// The error correction codewords of a block.
    func remainder(of data: [UInt8]) -> [UInt8] {
        var remainder = [UInt8](repeating: 0, count: generator.count)
        for byte in data {
            let factor = byte ^ remainder.removeFirst()
            remainder.append(0)
            for index in remainder.indices { remainder[index] ^= Self.multiply(generator[index], factor) }
        }
        return remainder
    }

    static func multiply(_ first: UInt8, _ second: UInt8) -> UInt8 {
        var product = 0
        for shift in (0..<8).reversed() {
            product = product << 1 ^ (product >> 7 & 1) * 0x11D
            if second >> shift & 1 == 1 { product ^= Int(first) }
        }
        return UInt8(truncatingIfNeeded: product)
    }
}
