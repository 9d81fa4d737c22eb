/// Bytes of messages that have begun and not ended on all streams of one device, which has no more room for them by opening more streams.
/// Confined to the bus loop.
final class StreamHolding {
    private(set) var bytes = 0

    /// A stream holds so many more, or fewer.
    func change(by difference: Int) { bytes += difference }
}
