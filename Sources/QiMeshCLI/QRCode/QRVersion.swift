/// The numbers of one version and level (ISO/IEC 18004, tables 1 and 9), and the codewords they make of some bytes.
struct QRVersion {
    static let last = 20

    let version: Int
    let level: QRCode.Level

    init(_ version: Int, _ level: QRCode.Level) {
        self.version = version
        self.level = level
    }

    /// Error correction codewords of each block, from version 1.
    private static let correction: [QRCode.Level: [Int]] = [
        .low: [7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28],
        .medium: [10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26],
    ]
    /// Blocks, from version 1.
    private static let blocks: [QRCode.Level: [Int]] = [
        .low: [1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6, 6, 6, 7, 8],
        .medium: [1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16],
    ]

    private var correctionLength: Int { Self.correction[level]?[version - 1] ?? 0 }
    private var blockCount: Int { Self.blocks[level]?[version - 1] ?? 1 }

    /// All codewords: what is left of the square when the fixed patterns are taken off, in bytes.
    var codewordCount: Int {
        var modules = (16 * version + 128) * version + 64
        if version >= 2 {
            let alignments = version / 7 + 2
            modules -= (25 * alignments - 10) * alignments - 55
            if version >= 7 { modules -= 36 }
        }
        return modules / 8
    }

    private var dataLength: Int { codewordCount - correctionLength * blockCount }

    /// How many bytes fit: four bits say that bytes come, 8 or 16 how many.
    var byteCapacity: Int { dataLength - (version < 10 ? 2 : 3) }

    /// Data and error correction, in the order in which they are placed. The bytes must fit.
    func codewords(of bytes: [UInt8]) -> [UInt8] {
        let data = padded(bytes)
        let coder = ReedSolomon(degree: correctionLength)
        let shortLength = dataLength / blockCount
        let longBlocks = dataLength % blockCount
        var blocks: [[UInt8]] = []
        var start = 0
        for index in 0..<blockCount {
            // The last blocks take the rest, one byte each.
            let end = start + shortLength + (index >= blockCount - longBlocks ? 1 : 0)
            blocks.append(Array(data[start..<end]))
            start = end
        }
        return Self.interleaved(blocks) + Self.interleaved(blocks.map(coder.remainder(of:)))
    }

    /// Mode, length, bytes, end, and filling (ISO/IEC 18004 §7.4).
    private func padded(_ bytes: [UInt8]) -> [UInt8] {
        var bits = QRBits()
        bits.append(0b0100, count: 4)
        bits.append(bytes.count, count: version < 10 ? 8 : 16)
        for byte in bytes { bits.append(Int(byte), count: 8) }
        bits.append(0, count: min(4, dataLength * 8 - bits.count))
        var data = bits.bytes
        var filling: UInt8 = 0xEC
        while data.count < dataLength {
            data.append(filling)
            filling = filling == 0xEC ? 0x11 : 0xEC
        }
        return data
    }

    private static func interleaved(_ blocks: [[UInt8]]) -> [UInt8] {
        (0..<(blocks.map(\.count).max() ?? 0)).flatMap { index in
            blocks.compactMap { index < $0.count ? $0[index] : nil }
        }
    }
}

/// Bits in a row, the highest of each number first.
private struct QRBits {
    private var bits: [Bool] = []

    var count: Int { bits.count }

    mutating func append(_ value: Int, count: Int) {
        for shift in (0..<count).reversed() { bits.append(value >> shift & 1 == 1) }
    }

    /// The last byte filled with zeros.
    var bytes: [UInt8] {
        stride(from: 0, to: bits.count, by: 8).map { start in
            (0..<8).reduce(UInt8(0)) { byte, offset in
                byte << 1 | (start + offset < bits.count && bits[start + offset] ? 1 : 0)
            }
        }
    }
}
