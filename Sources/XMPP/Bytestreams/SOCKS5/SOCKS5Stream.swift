import NIOCore

/// One SOCKS5 bytestream, from the offer of its session to the session's end, or to its own if it outlives that. Confined to the stanza
/// thread.
final class SOCKS5Stream {
    /// What our offer waits for.
    struct Preparation {
        let addresses: [String]
        /// What became of each address.
        var places: [SOCKS5Listener.Place]?
        var proxies: [ProxyHost]?
        let completion: (SOCKS5Transport) -> Void
    }

    /// Of its session.
    let number: UInt64
    /// The peer's full address, and the bytestream's id.
    let key: StreamKey
    /// Ours, when the session began.
    let ownJID: JID
    let isInitiator: Bool
    /// Those of the client, until the application has decided.
    var options: SOCKS5Options
    /// Where its sockets live; known once the application has decided.
    var loop: (any EventLoop)?
    /// From the moment on at which our candidates are known.
    var machine: SOCKS5CandidatesStateMachine?
    /// What the peer offers.
    var offered: SOCKS5Transport?

    /// Until our candidates are known.
    var preparation: Preparation?
    /// Addresses of ours that could not be offered.
    var unopened: [BytestreamReport.Candidate] = []
    var listener: SOCKS5Listener?
    /// By candidate of the peer.
    var dials: [String: SOCKS5Dial] = [:]
    var dialled: [String: any Channel] = [:]
    /// What the dials that go on are accounted as, and whether they were counted (``DialBudget``).
    var accounts: [String: (target: DialBudget.Target, isCounted: Bool)] = [:]
    /// By candidate of ours.
    var arrived: [String: any Channel] = [:]
    /// To our own proxy.
    var joining: SOCKS5Dial?
    var joined: (any Channel)?
    var timer: Scheduled<Void>?

    /// The socket that carries the bytes, once the negotiation is over.
    var channel: (any Channel)?
    /// Whether the session has ended, and the socket is the application's alone.
    var isDetached = false
    /// When a socket is closed whose peer has ended the session.
    var lingerEnd: NIODeadline?
    let begun: NIODeadline

    init(number: UInt64, peer: JID, sid: String, ownJID: JID, isInitiator: Bool, options: SOCKS5Options, now: NIODeadline) {
        self.number = number
        key = StreamKey(peer: peer, sid: sid)
        self.ownJID = ownJID
        self.isInitiator = isInitiator
        self.options = options
        begun = now
    }

    var peer: JID { key.peer }
    var sid: String { key.sid }

    /// Name of the bytestream at streamhosts of ours.
    var ourDigest: String { StreamDigest.of(sid: sid, offering: ownJID, other: peer) }

    /// Name of the bytestream at streamhosts of the peer: as it says, or computed (XEP-0260 §2.2).
    var theirDigest: String { offered?.digest ?? StreamDigest.of(sid: sid, offering: peer, other: ownJID) }

    /// What became of all candidates; `kind` and addresses are the caller's.
    var report: BytestreamReport {
        BytestreamReport(kind: nil, candidates: (machine?.candidates ?? []) + unopened)
    }

    /// Closes everything that is not the channel.
    func endNegotiation() {
        timer?.cancel()
        timer = nil
        for dial in dials.values { dial.cancel() }
        dials = [:]
        accounts = [:]
        joining?.cancel()
        joining = nil
        listener?.close()
        listener = nil
        for socket in Array(dialled.values) + Array(arrived.values) + [joined].compactMap({ $0 }) { socket.close(promise: nil) }
        dialled = [:]
        arrived = [:]
        joined = nil
    }
}
