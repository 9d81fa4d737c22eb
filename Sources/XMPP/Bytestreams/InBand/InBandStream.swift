import NIOCore

/// One in-band bytestream, from the offer of its session to the session's end. Confined to the stanza thread.
final class InBandStream {
    /// Of its session.
    let number: UInt64
    /// The peer's full address, and the bytestream's id.
    let key: StreamKey
    var negotiation: InBandNegotiationStateMachine
    /// From the end of the negotiation on.
    var driver: IBBDriver?
    /// When the peer last sent a block, or acknowledged one.
    var lastSign: NIODeadline
    /// When the channel has to have read what came before the peer's close.
    var deadline: NIODeadline?
    /// Whether a block of the peer has come.
    var hasReceived = false
    /// Whether the peer has closed the bytestream.
    var isClosedByPeer = false
    /// Requests that the end leaves without a reader.
    var unread: [String] = []
    /// Bytes of a stanza with a block beside the block itself: tags, attributes, a long id.
    let overhead: Int

    init(number: UInt64, peer: JID, sid: String, _ negotiation: InBandNegotiationStateMachine, now: NIODeadline) {
        self.number = number
        key = StreamKey(peer: peer, sid: sid)
        self.negotiation = negotiation
        lastSign = now
        overhead = InBandStream.tags + peer.description.utf8.count + sid.utf8.count
    }

    /// `<iq type='set' id='' to=''><data xmlns='http://jabber.org/protocol/ibb' sid='' seq=''></data></iq>` with a long id and number.
    private static let tags = 120
    /// What ``overhead`` comes to with addresses of the usual length.
    static let usualOverhead = 190

    var peer: JID { key.peer }
    var sid: String { key.sid }
}
