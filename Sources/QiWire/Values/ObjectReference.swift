/// A reference to an object, the value of type `o` (reference §17).
///
/// It is only good on the connection it came from: the ids belong to that connection.
public struct ObjectReference: Sendable {
    /// What the object can do. Nil when the metaobject cache is shared and the peer sent only `cacheID`.
    public var metaObject: MetaObject?
    /// The number under which a shared metaobject cache keeps the metaobject; nil without such a cache and for "not cached".
    public var cacheID: UInt32?
    /// The service in whose conversation the object travels.
    public var serviceID: UInt32
    /// The object's number on this connection; 0 is "no object".
    public var objectID: UInt32
    /// The object's identity, nil when the connection does not share uids.
    public var uid: ObjectUID?
    /// The object itself, or what keeps it alive, in this process. Never on the wire and not compared; whoever sends the reference
    /// over a connection gives the object an address there.
    public var attachment: (any ObjectAttachment)?

    /// Creates a reference.
    public init(
        metaObject: MetaObject?, cacheID: UInt32? = nil, serviceID: UInt32, objectID: UInt32, uid: ObjectUID? = nil,
        attachment: (any ObjectAttachment)? = nil
    ) {
        self.attachment = attachment
        self.metaObject = metaObject
        self.cacheID = cacheID
        self.serviceID = serviceID
        self.objectID = objectID
        self.uid = uid
    }

    /// The reference to no object.
    public static let null = ObjectReference(metaObject: .empty, serviceID: 0, objectID: 0, uid: .zero)

    /// Whether this refers to no object.
    public var isNull: Bool { objectID == 0 }

    /// Where to address calls to the object.
    public var address: ObjectAddress { ObjectAddress(service: serviceID, object: objectID) }
}

/// What a reference may be attached to within a process.
public protocol ObjectAttachment: AnyObject, Sendable {}

extension ObjectReference: Hashable {
    /// Compares what travels, not the attachment.
    public static func == (left: ObjectReference, right: ObjectReference) -> Bool {
        left.serviceID == right.serviceID && left.objectID == right.objectID && left.uid == right.uid
            && left.cacheID == right.cacheID && left.metaObject == right.metaObject
    }

    /// Hashes the address and the identity.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(serviceID)
        hasher.combine(objectID)
        hasher.combine(uid)
    }
}
