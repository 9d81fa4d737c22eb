import Synchronization

/// What one principal has in work over all its connections, whatever loop they are on: its calls and posts, its subscriptions, the objects
/// that it has passed to others, and bytes of arguments that are kept, of calls that wait for their answers, of posts that run, and of frames
/// whose end has not come. Or these bytes for all principals together.
final class ArgumentMeter: Sendable {
    /// What one principal may have kept; a single frame of the largest size always may be.
    static let mostOfOne = 64 << 20
    /// What all principals may have kept together,
    static let mostOfAll = 256 << 20
    /// and what one may have when that is used up, so that none is locked out by others.
    static let least = 4 << 20

    /// Subscriptions that one principal may hold.
    static let mostSubscriptions = 4096
    /// Objects that one principal may have passed in arguments.
    static let mostObjects = 4096

    private let count = Atomic<Int>(0)
    private let callCount = Atomic<Int>(0)
    private let subscriptionCount = Atomic<Int>(0)
    private let objectCount = Atomic<Int>(0)
    private let most: Int
    private let all: ArgumentMeter?

    init(most: Int = mostOfOne, of all: ArgumentMeter?) {
        self.most = most
        self.all = all
    }

    var held: Int { count.load(ordering: .relaxed) }
    /// Calls and posts that somebody serves.
    var calls: Int { callCount.load(ordering: .relaxed) }
    var subscriptions: Int { subscriptionCount.load(ordering: .relaxed) }
    var objects: Int { objectCount.load(ordering: .relaxed) }

    /// How many bytes more may be kept; below zero when too many are.
    ///
    /// - Parameter single: the size that one frame may have when it is the only one.
    func room(single: Int) -> Int {
        let held = held
        let own = max(most, single) - held
        guard let all else { return own }
        return min(own, max(all.most - all.held, Self.least - held))
    }

    func add(_ bytes: Int) {
        count.add(bytes, ordering: .relaxed)
        all?.add(bytes)
    }

    func remove(_ bytes: Int) {
        count.subtract(bytes, ordering: .relaxed)
        all?.remove(bytes)
    }

    func callBegan() { callCount.add(1, ordering: .relaxed) }

    func callEnded(owing bytes: Int) {
        if bytes > 0 { remove(bytes) }
        callCount.subtract(1, ordering: .relaxed)
    }

    func subscribed() { subscriptionCount.add(1, ordering: .relaxed) }
    func unsubscribed() { subscriptionCount.subtract(1, ordering: .relaxed) }

    func passed() { objectCount.add(1, ordering: .relaxed) }
    func released() { objectCount.subtract(1, ordering: .relaxed) }
}
