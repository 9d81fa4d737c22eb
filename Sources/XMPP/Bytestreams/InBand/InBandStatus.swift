/// What a client has learned of how its server lets in-band bytes through (``XMPPClient/inBandStatus``).
///
/// Rates are of payload, the bytes that bytestreams carry: in base64 and with the stanzas around them a server counts about twice as much
/// where blocks are small, 1.4 times as much where they are large.
public struct InBandStatus: Hashable, Sendable {
    /// Payload in bytes a second that leaves on all bytestreams together, measured while more waited; nil while the path is not known to be
    /// narrow: until bulk has been sent, and on every path that drains faster than it is worth to pace.
    public var bytesPerSecondUp: Int?
    /// Payload in bytes a second that arrived lately on all bytestreams together, in the last second of traffic and those before it; nil
    /// until a second of traffic was seen. More may have been possible: it depends on what the peers had to send.
    public var bytesPerSecondDown: Int?
    /// Bytes of stanzas with blocks that were sent and have not left our uplink yet.
    public var bytesUnderWay: Int
    /// Most such bytes at one time: about what drains in three quarters of a second.
    public var limit: Int
    /// Most bytes of payload in a block now.
    public var blockSize: Int
    /// Limits that the server announced for this connection (XEP-0478).
    public var streamLimits: StreamLimits
    /// When ``bytesPerSecondUp`` was measured last; nil when it never was.
    public var measured: ContinuousClock.Instant?
    /// Bytestreams of ours that wait for their turn to be set up.
    public var waitingToOpen: Int

    /// What is known when nothing has been sent.
    public init() {
        bytesUnderWay = 0
        limit = 0
        blockSize = 0
        streamLimits = StreamLimits()
        waitingToOpen = 0
    }
}
