/// What happens to events while their reader is busy: how many may wait, and which are dropped beyond. Dropped ones are counted.
public enum EventBuffering: Sendable, Hashable {
    /// The newest are kept, the oldest dropped.
    case newest(Int)
    /// The oldest are kept, the newest dropped.
    case oldest(Int)

    /// Only the last event counts.
    public static let latest = EventBuffering.newest(1)

    var capacity: Int {
        switch self {
        case .newest(let count), .oldest(let count): max(1, count)
        }
    }
}
