import NIOCore

/// How much of what a peer has sent is taken in one piece of the loop's time; the rest is left until others had theirs. Pure.
struct BurstTurn {
    /// How long a piece may be.
    struct Bounds: Equatable {
        var time: TimeAmount
        var frames: Int

        /// Of a peer that may do everything.
        static let trusted = Bounds(time: .milliseconds(1), frames: 1024)
        /// Of one that is judged by a policy: what its frames begin runs after them, and takes its time as well.
        static let judged = Bounds(time: .milliseconds(1), frames: 128)
        /// Of one whose turns are measured before TLS (``ReadTurns``), with all that its frames begin: what is passed on there is taken
        /// here, but for what would hold up all others.
        static let measured = Bounds(time: .milliseconds(2), frames: .max)
        /// Of one that has ended.
        static let rest = Bounds(time: .hours(1), frames: .max)
    }

    /// Looking at the clock costs as much as some short frames: so many, or so many bytes, are taken in between.
    private static let framesBetween = 16
    private static let bytesBetween = 16_384

    private let start: NIODeadline
    private let bounds: Bounds
    private var taken = 0
    private var frames = 0
    private var bytes = 0
    /// Whether the piece is used up.
    private(set) var isOver = false

    init(at start: NIODeadline, _ bounds: Bounds) {
        self.start = start
        self.bounds = bounds
    }

    /// A frame with so many bytes of payload was taken.
    mutating func took(_ count: Int, clock: () -> NIODeadline) {
        taken += 1
        frames += 1
        bytes += count
        if taken >= bounds.frames { return isOver = true }
        guard frames >= Self.framesBetween || bytes >= Self.bytesBetween else { return }
        frames = 0
        bytes = 0
        if clock() - start >= bounds.time { isOver = true }
    }
}
