/// How object references are written on one connection. It follows from the capabilities that both ends share (reference §17).
public struct ObjectCoding: Hashable, Sendable {
    /// Whether a reference ends with the object's 20-byte uid (capability `ObjectPtrUID`).
    public var sharesObjectUID: Bool
    /// Whether metaobjects are sent once and then named by number (capability `MetaObjectCache`).
    public var sharesMetaObjectCache: Bool

    /// Creates a coding.
    public init(sharesObjectUID: Bool, sharesMetaObjectCache: Bool) {
        self.sharesObjectUID = sharesObjectUID
        self.sharesMetaObjectCache = sharesMetaObjectCache
    }

    /// Between two current peers: uids, no cache.
    public static let standard = ObjectCoding(sharesObjectUID: true, sharesMetaObjectCache: false)
    /// Without any shared capability: neither.
    public static let plain = ObjectCoding(sharesObjectUID: false, sharesMetaObjectCache: false)
}
