/// What happens to events that come faster than they can be taken: how many may wait, and which are left out beyond. Those that are left
/// out are counted (``SignalEvent/missed``).
public enum EventBuffering: Sendable, Hashable {
    /// The newest are kept for a busy reader, the oldest dropped.
    case newest(Int)
    /// The oldest are kept for a busy reader, the newest dropped.
    case oldest(Int)
    /// Only the last event counts: one that waits gives its place to a later one, here and on the way, so that a path to another device
    /// that is slower than the signal carries what is true now. Where other subscribers of this node want all events, these travel, and
    /// only a busy reader is spared.
    case latest

    var capacity: Int {
        switch self {
        case .newest(let count), .oldest(let count): max(1, count)
        case .latest: 1
        }
    }
}
