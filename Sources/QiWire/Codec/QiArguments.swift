/// The arguments of a call, post or event with their types (reference §14).
public struct QiArguments: Hashable, Sendable {
    /// The values.
    public var values: [QiValue]
    /// Their types, as many.
    public var types: [QiType]

    /// Creates arguments; `types` are as many as `values`.
    public init(values: [QiValue], types: [QiType]) {
        self.values = values
        self.types = types
    }

    /// Takes apart a tuple, list or map, looking through dynamics: the forms in which libqi accepts arguments.
    ///
    /// - Throws: `.conversion` "Expected tuple, list or map" for anything else.
    public init(_ value: QiValue, as type: QiType) throws(WireError) {
        switch (value, type) {
        case (.dynamic(let dynamic), _):
            let inner = dynamic.unwrapped()
            self = try QiArguments(inner.value, as: inner.signature.type)
        case (.tuple(let members), .tuple(let tuple)) where members.count == tuple.members.count:
            self.init(values: members, types: tuple.members)
        case (.list(let elements), .list(let element)), (.list(let elements), .varargs(let element)):
            self.init(values: elements, types: Array(repeating: element, count: elements.count))
        case (.map(let entries), .map(let key, let value)):
            // libqi hands the entries over as pairs.
            self.init(
                values: entries.map { .tuple([$0.key, $0.value]) },
                types: Array(repeating: .tuple([key, value]), count: entries.count))
        default:
            throw WireError(.conversion, "Expected tuple, list or map, got \(type.shownText)")
        }
    }

    /// The type of the tuple they form.
    public var tupleType: QiType { .tuple(types) }
}
