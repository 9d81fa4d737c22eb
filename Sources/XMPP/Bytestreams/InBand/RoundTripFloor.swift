import NIOCore

/// The shortest round trip of a path. It is forgotten by a millisecond each second up to one second, so that a path that became longer is
/// believed in the end, and bulk that is never answered without a queue is not taken for a long path. A pure value: time comes in
/// with the events.
struct RoundTripFloor: Sendable {
    private static let most = TimeAmount.seconds(1)

    private(set) var least: TimeAmount?
    private var since = NIODeadline.uptimeNanoseconds(0)

    /// A round trip took that long; the shortest one, with this one.
    @discardableResult
    mutating func include(_ sample: TimeAmount, at now: NIODeadline) -> TimeAmount {
        guard let known = least else {
            least = sample
            since = now
            return sample
        }
        let aged = known < RoundTripFloor.most ? min(known + .nanoseconds((now - since).nanoseconds / 1000), RoundTripFloor.most) : known
        since = now
        least = min(aged, sample)
        return min(aged, sample)
    }
}
