/// A method as a metaobject describes it (reference §8).
///
/// Signatures are kept as text and parsed on demand: one that this library does not know must not make the object unusable.
public struct MetaMethod: Hashable, Sendable {
    /// The action id.
    public var uid: UInt32
    /// What it returns, as signature text.
    public var returnSignature: String
    /// The name.
    public var name: String
    /// Its parameters as signature text: a tuple, or `m` for any arguments.
    public var parametersSignature: String
    /// For people.
    public var description: String
    /// The parameters' names and descriptions, often empty.
    public var parameters: [MetaMethodParameter]
    /// What the returned value is, for people.
    public var returnDescription: String

    /// Creates a description of a method.
    public init(
        uid: UInt32, returnSignature: String, name: String, parametersSignature: String, description: String = "",
        parameters: [MetaMethodParameter] = [], returnDescription: String = ""
    ) {
        self.uid = uid
        self.returnSignature = returnSignature
        self.name = name
        self.parametersSignature = parametersSignature
        self.description = description
        self.parameters = parameters
        self.returnDescription = returnDescription
    }

    /// `name::(parameters)`.
    public var fullName: String { "\(name)::\(parametersSignature)" }

    /// Whether listings hide it: a generic member, or a name that begins with `_` (reference §8).
    public var isPrivate: Bool { uid < WellKnownActions.firstUserAction || name.utf8.first == UInt8(ascii: "_") }

    /// The parameters' signature.
    ///
    /// - Throws: `.signature`, `.limit` when the text cannot be parsed.
    public func parsedParameters() throws(WireError) -> Signature { try Signature(parametersSignature) }

    /// The returned value's signature.
    ///
    /// - Throws: `.signature`, `.limit` when the text cannot be parsed.
    public func parsedReturn() throws(WireError) -> Signature { try Signature(returnSignature) }
}
