/// The capabilities that both ends of a connection advertised as true (reference §10).
public struct SharedCapabilities: Hashable, Sendable {
    /// The connecting peer answers calls too.
    public var clientServerSocket = false
    /// Message flags may be used.
    public var messageFlags = false
    /// Metaobjects are sent once per connection.
    public var metaObjectCache = false
    /// Cancel may be sent.
    public var remoteCancelableCalls = false
    /// Object references carry uids.
    public var objectPtrUID = false
    /// `qi:` endpoints may be listed.
    public var relativeEndpointURI = false
    /// QiMesh: subscriptions may allow that events are left out, and the number of those that were is told.
    public var eventGaps = false

    /// Nothing shared, which works with every peer.
    public static let none = SharedCapabilities()

    /// Nothing shared.
    public init() {}

    /// What two peers share.
    public init(_ one: Capabilities, _ other: Capabilities) {
        func both(_ name: String) -> Bool { one.isEnabled(name) && other.isEnabled(name) }
        clientServerSocket = both(Capabilities.Name.clientServerSocket)
        messageFlags = both(Capabilities.Name.messageFlags)
        metaObjectCache = both(Capabilities.Name.metaObjectCache)
        remoteCancelableCalls = both(Capabilities.Name.remoteCancelableCalls)
        objectPtrUID = both(Capabilities.Name.objectPtrUID)
        relativeEndpointURI = both(Capabilities.Name.relativeEndpointURI)
        eventGaps = both(Capabilities.Name.eventGaps)
    }

    /// How object references are written between the two.
    public var objectCoding: ObjectCoding {
        ObjectCoding(sharesObjectUID: objectPtrUID, sharesMetaObjectCache: metaObjectCache)
    }
}
