import NIOCore

/// What the bytestreams need of the XMPP stream below them. Everything is called on the stanza thread, and every completion
/// comes there too: exactly once, also when the answer never arrives (time-out) or the stream ends.
protocol StanzaSink: AnyObject {
    /// Our full address on this stream; nil while there is none.
    var ownJID: JID? { get }

    /// Asks, and completes with the payload of the result (nil when it is empty), an `XMPPError` of code `.stanza` for an
    /// error answer, `.timedOut`, or what ended the stream. May complete before it returns, when nothing can be sent.
    func sendIQ(
        _ kind: IQRequest.Kind, to peer: JID, payload: Element, timeout: Duration,
        completion: @escaping (Result<Element?, XMPPError>) -> Void)

    /// Answers a request; nil means an empty result. The requester's id and address are those of its ``IQRequest``.
    /// Dropped when the stream it came by has ended.
    func answer(to requester: JID, id: String, with answer: Result<Element?, StanzaError>)

    /// Sends `<iq type='set'><data xmlns=ibb sid seq>base64</data></iq>`, the form without an element tree for the one stanza
    /// that is sent often. `base64` is valid during the call only and holds nothing that needs escaping; nothing in `sid`
    /// does either.
    func sendData(
        to peer: JID, sid: String, sequence: UInt16, base64: UnsafeRawBufferPointer, timeout: Duration,
        completion: @escaping (Result<Void, XMPPError>) -> Void)

    /// A bytestream of `peer` was ended because `newcomer` needed its place; both are full addresses.
    func displaced(_ peer: JID, for newcomer: JID)
}

extension StanzaSink {
    /// Tells nobody.
    func displaced(_ peer: JID, for newcomer: JID) {}
}

/// Runs work on the stanza thread, in the order it was handed in; callable from every thread.
protocol StanzaExecutor: Sendable {
    /// Hands work in. Work handed in while the thread handles a burst of stanzas runs before it sleeps.
    func execute(_ work: @escaping @Sendable () -> Void)
}
