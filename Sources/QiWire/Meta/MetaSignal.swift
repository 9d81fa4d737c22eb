/// A signal as a metaobject describes it (reference §8). A property has one too, of the same uid.
public struct MetaSignal: Hashable, Sendable {
    /// The action id.
    public var uid: UInt32
    /// The name.
    public var name: String
    /// The parameters as signature text: a tuple, or `m`.
    public var signature: String

    /// Creates a description of a signal.
    public init(uid: UInt32, name: String, signature: String) {
        self.uid = uid
        self.name = name
        self.signature = signature
    }

    /// Whether listings hide it.
    public var isPrivate: Bool { uid < WellKnownActions.firstUserAction || name.utf8.first == UInt8(ascii: "_") }

    /// The parameters' signature.
    ///
    /// - Throws: `.signature`, `.limit` when the text cannot be parsed.
    public func parsedSignature() throws(WireError) -> Signature { try Signature(signature) }
}
