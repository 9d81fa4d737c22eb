public import NIOCore

/// A ``Transport`` that listens.
public struct TransportListening: Sendable {
    /// Where, with the real port.
    public let endpoint: Endpoint
    /// Succeeds when it does not listen any more, whatever ended it.
    public let ended: EventLoopFuture<Void>
    /// Ends it; accepted channels live on. From any thread, any number of times.
    public let end: @Sendable () -> Void

    public init(at endpoint: Endpoint, ended: EventLoopFuture<Void>, end: @escaping @Sendable () -> Void) {
        self.endpoint = endpoint
        self.ended = ended
        self.end = end
    }
}
