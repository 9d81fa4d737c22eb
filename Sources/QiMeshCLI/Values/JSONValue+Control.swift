import QiMesh
import QiWire

extension JSONValue {
    /// What the node's control interface tells. A text that it does not know is empty, any other unknown value null: programs may rely
    /// on every member being there.
    init(control result: some QiConvertible) { self = Self.told(result.qiValue, type(of: result).qiType) }

    private static func told(_ value: QiValue, _ type: QiType) -> JSONValue {
        switch (value, type) {
        case (.optional(nil), .optional(.string)): ""
        case (.optional(let content?), .optional(let type)): told(content, type)
        case (.list(let elements), .list(let type)): .array(elements.map { told($0, type) })
        case (.tuple(let members), .tuple(let tuple)):
            .object(zip(tuple.memberNames, zip(members, tuple.members)).map { ($0, told($1.0, $1.1)) })
        default: JSONValue(value, as: type)
        }
    }

    /// The object with the members of its member `name` in that one's place, which are there only when it is.
    func spreading(_ name: String) -> JSONValue {
        guard case .object(let members) = self else { return self }
        return .object(
            members.flatMap { member in
                guard member.name == name else { return [member] }
                if case .object(let inner) = member.value { return inner }
                return []
            })
    }
}
