import NIOCore

/// How much of what a peer has sent is taken in one piece of the loop's time; the rest is left until others had theirs. Pure.
struct BurstTurn {
    /// How long a piece may be. Looking at the clock costs as much as some short frames: `between` of them, or so many bytes, are taken
    /// before it is looked at again.
    struct Bounds: Equatable {
        var time: TimeAmount
        var frames: Int
        var between: Int

        /// Of a peer that may do everything: longer than a burst of its calls takes, as each pause costs system calls (`.ci/guards`).
        static let trusted = Bounds(time: .milliseconds(5), frames: 1024, between: 16)
        /// Of one from outside, or that is judged by a policy: what its frames begin runs after them, and takes its time as well. A record of
        /// TLS holds hundreds of them, which no door can take apart.
        static let judged = Bounds(time: .microseconds(500), frames: 64, between: 8)
    }

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
        guard frames >= bounds.between || bytes >= Self.bytesBetween else { return }
        frames = 0
        bytes = 0
        if clock() - start >= bounds.time { isOver = true }
    }
}
