/// The square of a QR code while it is drawn: which modules are dark, and which belong to fixed patterns (ISO/IEC 18004 §6.3).
struct QRGrid: Hashable, Sendable {
    let size: Int
    private let version: Int
    private var dark: [Bool]
    private var fixed: [Bool]

    /// The square with its fixed patterns; places for the format are kept free.
    init(version: Int) {
        self.version = version
        size = 17 + 4 * version
        dark = Array(repeating: false, count: size * size)
        fixed = dark
        drawFinders()
        drawTiming()
        drawAlignments()
        drawVersion()
        drawFormat(level: .low, mask: 0)
    }

    func isInside(_ x: Int, _ y: Int) -> Bool { x >= 0 && y >= 0 && x < size && y < size }

    func isDark(_ x: Int, _ y: Int) -> Bool { dark[y * size + x] }

    private mutating func draw(_ x: Int, _ y: Int, _ isDark: Bool) {
        guard isInside(x, y) else { return }
        dark[y * size + x] = isDark
        fixed[y * size + x] = true
    }

    // MARK: - Fixed patterns

    /// The three corners, each with a light border.
    private mutating func drawFinders() {
        for (cornerX, cornerY) in [(3, 3), (size - 4, 3), (3, size - 4)] {
            for dy in -4...4 {
                for dx in -4...4 {
                    let ring = max(abs(dx), abs(dy))
                    draw(cornerX + dx, cornerY + dy, ring != 2 && ring != 4)
                }
            }
        }
    }

    private mutating func drawTiming() {
        for index in 8..<(size - 8) {
            draw(index, 6, index.isMultiple(of: 2))
            draw(6, index, index.isMultiple(of: 2))
        }
    }

    private mutating func drawAlignments() {
        let centres = alignmentCentres
        let far = size - 7
        for y in centres {
            // Three of them would lie in the corners.
            for x in centres where (x, y) != (6, 6) && (x, y) != (far, 6) && (x, y) != (6, far) {
                for dy in -2...2 { for dx in -2...2 { draw(x + dx, y + dy, max(abs(dx), abs(dy)) != 1) } }
            }
        }
    }

    /// Rows and columns of the alignment patterns.
    private var alignmentCentres: [Int] {
        guard version > 1 else { return [] }
        let count = version / 7 + 2
        let step = (version * 4 + count * 2 + 1) / (count * 2 - 2) * 2
        return [6] + (0..<(count - 1)).map { size - 7 - $0 * step }.reversed()
    }

    private mutating func drawVersion() {
        guard version >= 7 else { return }
        let bits = version << 12 | Self.remainder(of: version, generator: 0x1F25, degree: 12)
        for index in 0..<18 {
            let isDark = bits >> index & 1 == 1
            draw(size - 11 + index % 3, index / 3, isDark)
            draw(index / 3, size - 11 + index % 3, isDark)
        }
    }

    /// Says level and mask, twice.
    mutating func drawFormat(level: QRCode.Level, mask: Int) {
        let data = level.rawValue << 3 | mask
        let bits = (data << 10 | Self.remainder(of: data, generator: 0x537, degree: 10)) ^ 0x5412
        for index in 0..<15 {
            let isDark = bits >> index & 1 == 1
            switch index {
            case 0..<6: draw(8, index, isDark)
            case 6, 7: draw(8, index + 1, isDark)
            case 8: draw(7, 8, isDark)
            default: draw(14 - index, 8, isDark)
            }
            if index < 8 { draw(size - 1 - index, 8, isDark) } else { draw(8, size - 15 + index, isDark) }
        }
        draw(8, size - 8, true)
    }

    /// The check bits of a BCH code.
    private static func remainder(of value: Int, generator: Int, degree: Int) -> Int {
        var remainder = value
        for _ in 0..<degree { remainder = remainder << 1 ^ (remainder >> (degree - 1)) * generator }
        return remainder
    }

    // MARK: - Data

    /// Fills what is free, in columns of two from the right, upwards and downwards in turn (ISO/IEC 18004 §7.7.3).
    mutating func place(_ codewords: [UInt8]) {
        var position = 0
        var isUpward = true
        var right = size - 1
        while right >= 1 {
            if right == 6 { right = 5 }
            for step in 0..<size {
                let y = isUpward ? size - 1 - step : step
                for x in [right, right - 1] where !fixed[y * size + x] {
                    guard position < codewords.count * 8 else { continue }
                    dark[y * size + x] = codewords[position / 8] >> (7 - position % 8) & 1 == 1
                    position += 1
                }
            }
            isUpward.toggle()
            right -= 2
        }
    }

    /// Turns modules of the data over, by one of eight patterns (ISO/IEC 18004 §7.8.2).
    mutating func apply(mask: Int) {
        for y in 0..<size {
            for x in 0..<size where !fixed[y * size + x] && Self.isTurned(mask, x, y) { dark[y * size + x].toggle() }
        }
    }

    private static func isTurned(_ mask: Int, _ x: Int, _ y: Int) -> Bool {
        switch mask {
        case 0: (x + y) % 2 == 0
        case 1: y % 2 == 0
        case 2: x % 3 == 0
        case 3: (x + y) % 3 == 0
        case 4: (x / 3 + y / 2) % 2 == 0
        case 5: x * y % 2 + x * y % 3 == 0
        case 6: (x * y % 2 + x * y % 3) % 2 == 0
        default: ((x + y) % 2 + x * y % 3) % 2 == 0
        }
    }
}
