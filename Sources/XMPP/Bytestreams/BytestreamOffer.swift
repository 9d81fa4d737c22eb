/// A bytestream a contact wants to open with us (a Jingle session-initiate, XEP-0166 §6.2).
public struct BytestreamOffer: Hashable, Sendable {
    /// Who asks: the full address of a contact whose subscription is mutual.
    public let from: JID
    /// The application's element, for example `<description xmlns='urn:qimesh:tunnel:1'/>`: a peer's input, unchecked
    /// beyond its size and depth.
    public let application: Element
    /// The session's id, unique only together with ``from``; at most 256 bytes.
    public let sid: String
    /// How its bytes are to travel.
    public let transport: BytestreamTransport.Kind

    /// Makes an offer; a session does, and tests.
    public init(from: JID, application: Element, sid: String, transport: BytestreamTransport.Kind = .inBand) {
        self.from = from
        self.application = application
        self.sid = sid
        self.transport = transport
    }
}
