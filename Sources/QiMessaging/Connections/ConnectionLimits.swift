public import NIOCore

/// What one connection may use. Every bound is per connection.
public struct ConnectionLimits: Sendable {
    /// The largest payload accepted, in bytes; a larger frame closes the connection (wire reference §23).
    public var maximumPayload = 50_000_000
    /// Calls of the peer that may be in flight; one more is answered with an Error.
    public var maximumCallsInFlight = 8192
    /// Bytes of arguments that calls of the peer in flight may have together; one more is answered with an Error. A single call of the
    /// largest payload may always be made.
    public var maximumArgumentBytes = 128 << 20
    /// How long a peer may stay unauthenticated.
    public var authenticationTimeout = TimeAmount.seconds(10)
    /// Bytes that may wait for a peer that does not read; beyond, the connection is closed.
    public var maximumOutboundBytes = 256 << 20
    /// Bytes waiting for a peer beyond which events to it are dropped instead of queued.
    public var maximumEventBacklog = 32 << 20
    /// Objects sent as values that the peer may hold.
    public var maximumHostedObjects = 16_384
    /// Objects of the peer that others may hold through us because it passed them in arguments; four times as many of a device, over all
    /// its connections, for it speaks for many.
    public var maximumPassedObjects = 1024
    /// Subscriptions the peer may hold. A principal that a policy judges may hold 4096 over all its connections.
    public var maximumSubscriptions = 16_384
    /// Services the peer may register in a directory.
    public var maximumServices = 1024
    /// Services behind a gateway that the peer may have looked up.
    public var maximumLookUps = 4096
    /// The least payload, in bytes, that goes through shared memory where both ends can (a unix socket between processes of one
    /// user); `Int.max` turns it off.
    public var sharedMemoryThreshold = 256 << 10

    public init() {}
}
