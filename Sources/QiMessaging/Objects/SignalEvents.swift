public import QiWire

/// The events of one subscription, each the signal's arguments. Ends when it is stopped, when the service is removed and when
/// its connection is lost; ``failure`` then says why. One reader at a time. Keeps its object alive.
public final class SignalEvents: AsyncSequence, Sendable {
    public typealias Element = [QiValue]

    private let queue: EventQueue<[QiValue]>
    private let link: SignalLink

    init(_ queue: EventQueue<[QiValue]>, _ link: SignalLink) {
        self.queue = queue
        self.link = link
    }

    /// How many events were dropped because the reader was slow.
    public var dropped: Int { queue.dropped }

    /// Why no more events come; nil while they may, and after ``stop()``.
    public var failure: QiError? { queue.failure }

    /// Ends the subscription; readers get what waits, then the end.
    public func stop() {
        link.disconnect()
        queue.finish(nil)
    }

    public struct AsyncIterator: AsyncIteratorProtocol {
        let events: SignalEvents
        public mutating func next() async -> [QiValue]? { await events.queue.next()?.value }
    }

    /// The same events, each with how many were left out before it.
    public var withGaps: WithGaps { WithGaps(events: self) }

    /// The events of a subscription with their gaps.
    public struct WithGaps: AsyncSequence, Sendable {
        public typealias Element = SignalEvent<[QiValue]>

        let events: SignalEvents

        public struct AsyncIterator: AsyncIteratorProtocol {
            let events: SignalEvents
            public mutating func next() async -> SignalEvent<[QiValue]>? { await events.queue.next() }
        }

        public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(events: events) }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(events: self) }
}
