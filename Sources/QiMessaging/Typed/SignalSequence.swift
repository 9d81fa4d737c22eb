/// The emissions of one signal, each with its arguments: the value itself where there is one, a tuple where there are several.
/// One reader at a time. Keeps its object alive.
public final class SignalSequence<Element: Sendable>: AsyncSequence, Sendable {
    private let queue: EventQueue<Element>
    private let link: SignalLink

    init(_ queue: EventQueue<Element>, _ link: SignalLink) {
        self.queue = queue
        self.link = link
    }

    /// How many emissions were dropped because the reader was slow.
    public var dropped: Int { queue.dropped }

    /// Ends the subscription; the reader gets what waits, then the end.
    public func stop() {
        link.disconnect()
        queue.finish(nil)
    }

    public struct AsyncIterator: AsyncIteratorProtocol {
        let events: SignalSequence

        /// The next emission; nil once the sequence was stopped or its task cancelled.
        ///
        /// - Throws: why no more come: `.notFound` when the service was removed, `.disconnected` when its connection was lost.
        public mutating func next() async throws(QiError) -> Element? {
            if let event = await events.queue.next() { return event.value }
            if let failure = events.queue.failure { throw failure }
            return nil
        }

        public mutating func next(isolation actor: isolated (any Actor)?) async throws(QiError) -> Element? {
            if let event = await events.queue.next() { return event.value }
            if let failure = events.queue.failure { throw failure }
            return nil
        }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(events: self) }

    /// The same emissions, each with how many were left out before it.
    public var withGaps: WithGaps { WithGaps(events: self) }

    /// The emissions of a signal with their gaps. Ends as the sequence itself does.
    public struct WithGaps: AsyncSequence, Sendable {
        public typealias Element = SignalEvent<SignalSequence.Element>

        let events: SignalSequence

        public struct AsyncIterator: AsyncIteratorProtocol {
            let events: SignalSequence

            /// The next emission. As ``SignalSequence/AsyncIterator/next()``.
            public mutating func next() async throws(QiError) -> SignalEvent<SignalSequence.Element>? {
                if let event = await events.queue.next() { return event }
                if let failure = events.queue.failure { throw failure }
                return nil
            }

            public mutating func next(
                isolation actor: isolated (any Actor)?
            ) async throws(QiError) -> SignalEvent<SignalSequence.Element>? {
                if let event = await events.queue.next() { return event }
                if let failure = events.queue.failure { throw failure }
                return nil
            }
        }

        public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(events: events) }
    }
}
