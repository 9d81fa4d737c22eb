/// The type of a tuple: its members in order and, if its signature was annotated, the structure's and the members' names.
///
/// Names never change the encoding and do not count in comparisons (reference §6).
public struct TupleType: Sendable {
    /// The members' types, in wire order.
    public let members: [QiType]
    /// The structure's name, nil without annotation; may be empty.
    public let name: String?
    /// The members' names as annotated. May be of another count than `members`; then they name nothing.
    public let memberNames: [String]

    /// The fewest bytes of a value. Computed once: a hostile list of wide tuples would otherwise cost its square.
    public let minimumSize: Int
    /// The bytes of every value, nil when they depend on the value.
    public let fixedSize: Int?
    /// Whether a member may hold an object reference.
    public let mayHoldObject: Bool

    /// Creates a tuple type.
    public init(_ members: [QiType], name: String? = nil, memberNames: [String] = []) {
        self.members = members
        self.name = name
        self.memberNames = memberNames
        var minimum = 0
        var fixed: Int? = 0
        var mayHoldObject = false
        for member in members {
            minimum += member.minimumSize
            if let size = member.fixedSize, let sum = fixed { fixed = sum + size } else { fixed = nil }
            if !mayHoldObject { mayHoldObject = member.mayHoldObject }
        }
        minimumSize = minimum
        fixedSize = fixed
        self.mayHoldObject = mayHoldObject
    }

    /// Whether every member has a name.
    public var isFullyNamed: Bool { !members.isEmpty && memberNames.count == members.count }

    /// The annotation with its angle brackets, empty without names.
    public var annotation: String {
        guard let name else { return "" }
        return "<" + ([name] + memberNames).joined(separator: ",") + ">"
    }
}

extension TupleType: Hashable {
    /// Compares the members only.
    public static func == (left: TupleType, right: TupleType) -> Bool { left.members == right.members }

    /// Hashes the members only.
    public func hash(into hasher: inout Hasher) { hasher.combine(members) }
}
