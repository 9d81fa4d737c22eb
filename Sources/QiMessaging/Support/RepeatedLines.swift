package import NIOCore

/// Log lines that strangers cause, as often as they like: of each kind the 1st, 2nd, 4th, 8th … in a minute is written. Pure.
package struct RepeatedLines {
    private var counts: [String: Int] = [:]
    private var start: NIODeadline

    /// More kinds than this are one kind.
    package static let mostKinds = 256
    private static let period = TimeAmount.minutes(1)

    package init(at now: NIODeadline = .now()) { start = now }

    /// How many of this kind there have been in this minute, when one more is to be written; nil when it is not.
    package mutating func count(_ kind: String, at now: NIODeadline = .now()) -> Int? {
        if now - start >= Self.period {
            start = now
            counts = [:]
        }
        let kind = counts[kind] == nil && counts.count >= Self.mostKinds ? "" : kind
        let count = counts[kind, default: 0] + 1
        counts[kind] = count
        return count.nonzeroBitCount == 1 ? count : nil
    }
}
