/// A property as a metaobject describes it (reference §8).
public struct MetaProperty: Hashable, Sendable {
    /// The action id, shared with the property's signal.
    public var uid: UInt32
    /// The name.
    public var name: String
    /// The value's type as signature text, not wrapped in a tuple.
    public var signature: String

    /// Creates a description of a property.
    public init(uid: UInt32, name: String, signature: String) {
        self.uid = uid
        self.name = name
        self.signature = signature
    }

    /// Whether listings hide it.
    public var isPrivate: Bool { uid < WellKnownActions.firstUserAction || name.utf8.first == UInt8(ascii: "_") }

    /// The value's signature.
    ///
    /// - Throws: `.signature`, `.limit` when the text cannot be parsed.
    public func parsedSignature() throws(WireError) -> Signature { try Signature(signature) }
}
