/// What a path lets through, as far as it is known: how large pieces of it may be, and what is too much for it.
public struct PathWidth: Sendable {
    /// Bytes of a message that go into one frame, and are handed to the path at a time. Small on a narrow path, so that what comes later can
    /// pass.
    public var piece: Int
    /// The longest argument or result, in bytes; nil: as long as any.
    public var most: Int?
    /// Bytes that go out in a second, as measured; nil: not known.
    public var rate: Double?

    public init(piece: Int, most: Int? = nil, rate: Double? = nil) {
        self.piece = piece
        self.most = most
        self.rate = rate
    }

    /// A network of today.
    public static let wide = PathWidth(piece: 16 * 1024)

    var isWide: Bool { piece >= PathWidth.wide.piece }

    static let leastEventBytes = 1 << 20

    /// Bytes of events that may wait for it: on a narrow path what it lets through in a minute, though at least 1 MiB; never more than
    /// `most`.
    func eventBytes(_ most: Int) -> Int {
        guard !isWide else { return most }
        let minute = rate.map { $0.isFinite ? Int(min(max($0, 0) * 60, Double(most))) : most } ?? 0
        return min(most, max(Self.leastEventBytes, minute))
    }
}
