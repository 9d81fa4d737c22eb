import NIOCore

/// What a path lets through, as far as it is known: how large pieces of it may be, and what is too much for it.
public struct PathWidth: Sendable {
    /// Bytes of a message that go into one frame, and are handed to the path at a time. Small on a narrow path, so that what comes later can
    /// pass.
    public var piece: Int
    /// The longest argument or result, in bytes; nil: as long as any.
    public var most: Int?
    /// Bytes that go out in a second, as measured; nil: not known.
    public var rate: Double?
    /// Bytes that may be sent and not confirmed: so many go out again, before anything else, when the path dies. Few where it is narrow, or
    /// the path that would come next.
    public var unconfirmed: Int

    public init(piece: Int, most: Int? = nil, rate: Double? = nil, unconfirmed: Int = PathWidth.mostUnconfirmed) {
        self.piece = piece
        self.most = most
        self.rate = rate
        self.unconfirmed = unconfirmed
    }

    /// Most bytes that are sent and not confirmed on any path, whatever the peer takes.
    public static let mostUnconfirmed = 256 << 10

    /// A network of today.
    public static let wide = PathWidth(piece: 16 * 1024)

    var isWide: Bool { piece >= PathWidth.wide.piece }

    /// Bytes that may be sent and not confirmed on a path with that round trip: a wide one is filled up to 8 MB/s, however long it is.
    func unconfirmed(over roundTrip: TimeAmount?) -> Int {
        guard isWide, let roundTrip else { return min(unconfirmed, Self.mostUnconfirmed) }
        let filled = Int(min(Double(roundTrip.nanoseconds) / 1e9 * 8e6, Double(Self.mostUnconfirmed)))
        return min(unconfirmed + filled, Self.mostUnconfirmed)
    }

    static let leastEventBytes = 1 << 20

    /// Bytes of events that may wait for it: on a narrow path what it lets through in a minute, though at least 1 MiB; never more than
    /// `most`.
    func eventBytes(_ most: Int) -> Int {
        guard !isWide else { return most }
        let minute = rate.map { $0.isFinite ? Int(min(max($0, 0) * 60, Double(most))) : most } ?? 0
        return min(most, max(Self.leastEventBytes, minute))
    }
}
