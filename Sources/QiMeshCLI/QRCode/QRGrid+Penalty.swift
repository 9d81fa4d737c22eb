extension QRGrid {
    /// How hard the code is to read (ISO/IEC 18004 §7.8.3): long runs of one colour, squares of one colour, what looks like a corner,
    /// and too much of one colour.
    var penalty: Int {
        var lines: [[Bool]] = []
        for first in 0..<size {
            lines.append((0..<size).map { isDark($0, first) })
            lines.append((0..<size).map { isDark(first, $0) })
        }
        return lines.reduce(0) { $0 + Self.runs($1) + Self.corners($1) } + squares + imbalance
    }

    /// 3 for five in a row, and 1 for each more.
    private static func runs(_ line: [Bool]) -> Int {
        var penalty = 0
        var length = 0
        for (index, isDark) in line.enumerated() {
            length = index > 0 && line[index - 1] == isDark ? length + 1 : 1
            if length == 5 { penalty += 3 } else if length > 5 { penalty += 1 }
        }
        return penalty
    }

    private static let corner = [true, false, true, true, true, false, true]

    /// 40 for each pattern 1:1:3:1:1 with four light modules before or after it; outside everything is light.
    private static func corners(_ line: [Bool]) -> Int {
        func isLight(_ range: Range<Int>) -> Bool { range.allSatisfy { !line.indices.contains($0) || !line[$0] } }
        var penalty = 0
        for start in 0...(line.count - corner.count) where Array(line[start..<(start + corner.count)]) == corner {
            if isLight((start - 4)..<start) || isLight((start + 7)..<(start + 11)) { penalty += 40 }
        }
        return penalty
    }

    /// 3 for each square of two by two.
    private var squares: Int {
        var count = 0
        for y in 0..<(size - 1) {
            for x in 0..<(size - 1) {
                let isDark = isDark(x, y)
                if isDark == self.isDark(x + 1, y), isDark == self.isDark(x, y + 1), isDark == self.isDark(x + 1, y + 1) { count += 1 }
            }
        }
        return count * 3
    }

    /// 10 for each 5 % that the dark modules are away from half.
    private var imbalance: Int {
        let dark = (0..<size).reduce(0) { count, y in count + (0..<size).count { isDark($0, y) } }
        return abs(dark * 20 - size * size * 10) / (size * size) * 10
    }
}
