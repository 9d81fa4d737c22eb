import NIOCore

/// Bytes a second that arrived lately: over periods of a second of traffic, half from the last one. A period with a longer silence, or with
/// next to nothing in it, says nothing. A pure value: time comes in with the events.
struct ThroughputMeter: Sendable {
    private static let period = TimeAmount.seconds(1)
    private static let longest = TimeAmount.seconds(3)
    private static let leastBytes = 1024

    private var start: NIODeadline?
    private var bytes = 0
    /// Nil until a period was measured.
    private(set) var bytesPerSecond: Double?

    /// So many bytes arrived.
    mutating func arrived(_ count: Int, at now: NIODeadline) {
        guard let start else {
            // They travelled before the period began.
            self.start = now
            return
        }
        bytes += count
        let span = now - start
        guard span >= ThroughputMeter.period else { return }
        if span <= ThroughputMeter.longest, bytes >= ThroughputMeter.leastBytes {
            let sample = Double(bytes) / (Double(span.nanoseconds) / 1e9)
            bytesPerSecond = bytesPerSecond.map { ($0 + sample) / 2 } ?? sample
        }
        self.start = now
        bytes = 0
    }
}
