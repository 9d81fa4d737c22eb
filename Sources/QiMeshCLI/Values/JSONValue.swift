/// A JSON document (RFC 8259). Integers stay exact and members keep their order, which Foundation's reader does not promise.
indirect enum JSONValue: Sendable {
    case null
    case bool(Bool)
    /// Any integer from Int64.min to Int64.max.
    case integer(Int64)
    /// Integers above Int64.max.
    case unsigned(UInt64)
    /// Every other number; finite.
    case number(Double)
    case string(String)
    case array([JSONValue])
    /// Members in order. Names are unique.
    case object([(name: String, value: JSONValue)])

    /// The member of an object, nil for another value.
    subscript(name: String) -> JSONValue? {
        if case .object(let members) = self { members.first { $0.name == name }?.value } else { nil }
    }

    /// The members of an object with `others` in front.
    func adding(_ others: [(name: String, value: JSONValue)]) -> JSONValue {
        guard case .object(let members) = self else { return self }
        return .object(others + members.filter { member in !others.contains { $0.name == member.name } })
    }
}

extension JSONValue: Equatable {
    /// Compares members in order.
    static func == (left: JSONValue, right: JSONValue) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let left), .bool(let right)): left == right
        case (.integer(let left), .integer(let right)): left == right
        case (.unsigned(let left), .unsigned(let right)): left == right
        case (.number(let left), .number(let right)): left == right
        case (.string(let left), .string(let right)): left == right
        case (.array(let left), .array(let right)): left == right
        case (.object(let left), .object(let right)):
            left.count == right.count && zip(left, right).allSatisfy { $0.name == $1.name && $0.value == $1.value }
        default: false
        }
    }
}

extension JSONValue: ExpressibleByStringLiteral {
    init(stringLiteral value: String) { self = .string(value) }
}
