/// Bounds on what other entities may make a client do (reference `xmpp.md` §6.7).
public struct XMPPLimits: Hashable, Sendable {
    /// IQ requests a second of one contact that are served. What is over it is answered `resource-constraint`; silence is only for a
    /// flood that goes on (``RequestMeter``).
    public var requestsPerSecond: Int
    /// Largest received stanza that is looked at, in bytes of names, values and text.
    public var stanzaBytes: Int
    /// Largest contact list that is taken from our own server, in bytes counted the same way.
    public var rosterBytes: Int
    /// Deepest nesting of a received stanza that is looked at.
    public var stanzaDepth: Int
    /// Requests of ours that wait for an answer at one time.
    public var pendingRequests: Int
    /// Entries kept of the contact list.
    public var contacts: Int
    /// Connections kept of one contact.
    public var resourcesPerContact: Int
    /// Subscription requests kept until they are decided; the oldest goes.
    public var subscriptionRequests: Int
    /// How many of them accounts of one domain may have.
    public var subscriptionRequestsPerDomain: Int
    /// Accounts that the server lists and the owner has not admitted whose presence is kept, without its text.
    public var unconfirmedContacts: Int
    /// Bytes that wait to be sent; a server that takes none for so long is disconnected.
    public var outboundBytes: Int
    /// Verified capability sets kept.
    public var capabilities: Int
    /// Handlers of peers' requests that run at one time.
    public var handlersAtOnce: Int
    /// Handlers of requests that anybody may make that run at one time.
    public var openHandlersAtOnce: Int

    /// The usual limits.
    public init() {
        requestsPerSecond = 50
        stanzaBytes = 64 * 1024
        rosterBytes = 16 << 20
        stanzaDepth = 64
        pendingRequests = 4096
        contacts = 10_000
        resourcesPerContact = 16
        subscriptionRequests = 256
        subscriptionRequestsPerDomain = 64
        unconfirmedContacts = 256
        outboundBytes = 4 * 1024 * 1024
        capabilities = 512
        handlersAtOnce = 64
        openHandlersAtOnce = 4
    }
}
