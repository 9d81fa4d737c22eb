/// Bounds of the bytestreams of one XMPP connection. Every number a peer could push is here.
public struct BytestreamLimits: Hashable, Sendable {
    /// Bytestreams one contact (bare address) may have open or in negotiation towards us; ours towards it are counted
    /// apart, with the same limit, so that a contact cannot take our own way away.
    public var streamsPerContact = 16
    /// The same over all contacts, for each of the two directions. When so many are open towards us, a contact with fewer gets the place of
    /// one of the contact with the most.
    public var streams = 256
    /// Bytes of payload in one block (XEP-0047 §2.1 `block-size`), 1 to 5700: above that a stanza exceeds 8 KiB, which
    /// servers read in several turns.
    public var blockSize = 4096
    /// Bytes of payload in one block on a path that is slow, at least: of what a smaller one costs, most would be its stanza.
    public var smallestBlock = 512
    /// Blocks sent and not acknowledged per bytestream at the start.
    public var initialWindow = 4
    /// Most blocks sent and not acknowledged per bytestream.
    public var maximumWindow = 16
    /// Most blocks received and not yet read by the channel's handlers; a peer that sends more loses the bytestream.
    public var receiveWindow = 16
    /// How long the acknowledgement of a single short block may wait for something to travel behind, such as the answer to what it brought:
    /// alone it would keep the server busy just when that answer comes.
    public var acknowledgementDelay: Duration = .milliseconds(5)
    /// Bytes of stanzas with blocks under way on the connection at the start, over all bytestreams.
    public var initialBudget = 4096
    /// Most bytes of stanzas with blocks under way on the connection, whatever was measured.
    public var maximumBudget = 1024 * 1024
    /// Most bytes a bytestream keeps between its channel and the connection, as a socket's send buffer does; on a path that is slow it is
    /// one block.
    public var sendBuffer = 64 * 1024
    /// How long a block may stay unacknowledged by a peer that sends nothing either, before its bytestream is given up.
    public var acknowledgementTimeout: Duration = .seconds(20)
    /// How long a block may stay unacknowledged by a peer that goes on sending, because it does not read before its own bytes are gone.
    public var longestStall: Duration = .seconds(600)
    /// Bytestreams of ours that are negotiated, or open and have received nothing yet, at one time; the others wait for their turn.
    public var openingsAtOnce = 3
    /// Bytestreams of ours that may wait for their turn.
    public var openingsWaiting = 256
    /// How long one may wait for its turn.
    public var openingPatience: Duration = .seconds(600)
    /// How long a bytestream that is open and receives nothing keeps others waiting.
    public var youth: Duration = .seconds(3)
    /// How long the negotiation a contact started may take.
    public var negotiationTimeout: Duration = .seconds(30)

    /// The defaults.
    public init() {}
}
