/// A QR code (ISO/IEC 18004) of some bytes: byte mode, versions 1 to 20, error correction L or M. A value; drawing it is
/// somebody else's.
///
/// Written here and not taken from a library: what is needed is small, does not change, and would be the command's only C
/// dependency.
struct QRCode: Hashable, Sendable {
    /// How much of the code may be unreadable.
    enum Level: Int, Sendable, CaseIterable {
        /// About 15 %.
        case medium = 0
        /// About 7 %.
        case low = 1
    }

    /// 1 to 20; the code has `17 + 4 × version` modules on each side.
    let version: Int
    let level: Level
    /// Which of the eight patterns is laid over the data.
    let mask: Int
    private let grid: QRGrid

    /// Modules on each side.
    var size: Int { grid.size }

    /// Whether the module in that column and row, counted from 0 at the top left, is dark. Outside everything is light.
    func isDark(_ x: Int, _ y: Int) -> Bool { grid.isInside(x, y) && grid.isDark(x, y) }

    /// The smallest code that holds the bytes, with the better correction if that costs no module; nil when there are more than
    /// 858 bytes.
    init?(_ bytes: [UInt8]) {
        guard let version = (1...QRVersion.last).first(where: { QRVersion($0, .low).byteCapacity >= bytes.count }) else { return nil }
        let level: Level = QRVersion(version, .medium).byteCapacity >= bytes.count ? .medium : .low
        let shape = QRVersion(version, level)
        var grid = QRGrid(version: version)
        grid.place(shape.codewords(of: bytes))
        // The pattern that leaves the fewest shapes a reader could trip over.
        let candidates = (0..<8).map { mask in
            var masked = grid
            masked.apply(mask: mask)
            masked.drawFormat(level: level, mask: mask)
            return (mask: mask, grid: masked, penalty: masked.penalty)
        }
        guard let best = candidates.min(by: { $0.penalty < $1.penalty }) else { return nil }
        self.version = version
        self.level = level
        mask = best.mask
        self.grid = best.grid
    }
}
