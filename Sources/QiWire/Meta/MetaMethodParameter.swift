/// The name and description of a method's parameter (reference §8).
public struct MetaMethodParameter: Hashable, Sendable {
    /// The name.
    public var name: String
    /// For people.
    public var description: String

    /// Creates a description of a parameter.
    public init(name: String, description: String) {
        self.name = name
        self.description = description
    }
}
