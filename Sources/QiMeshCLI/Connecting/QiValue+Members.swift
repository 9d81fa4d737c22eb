import QiWire

/// Reading the maps of the control interface. What is missing or of another kind reads as absent.
extension QiValue {
    func member(_ name: String) -> QiValue? {
        asMap?.first { $0.key.asQiString?.lossyText == name }?.value
    }

    /// The text of a member, empty when absent.
    func text(_ name: String) -> String { member(name)?.asQiString?.lossyText ?? "" }

    func integer(_ name: String) -> Int64? { member(name)?.asInt }

    func number(_ name: String) -> Double? { member(name)?.asDouble }

    /// The texts of a list, empty when absent.
    func texts(_ name: String) -> [String] { (member(name)?.asList ?? []).compactMap { $0.asQiString?.lossyText } }

    /// The rows of a list, empty when absent.
    func rows(_ name: String) -> [QiValue] { member(name)?.asList ?? [] }
}

extension JSONValue {
    /// What the node's control interface says, with null where it says -1 for "unknown" or "never".
    init(control value: QiValue) { self = JSONValue(value).withoutUnknown(in: nil) }

    private static let knownOrNegative: Set<String> = ["services", "lastSeen", "firstSeen", "since"]

    private func withoutUnknown(in name: String?) -> JSONValue {
        switch self {
        case .object(let members): .object(members.map { ($0.name, $0.value.withoutUnknown(in: $0.name)) })
        case .array(let elements): .array(elements.map { $0.withoutUnknown(in: nil) })
        case .integer(..<0), .number(..<0): name.map(Self.knownOrNegative.contains) == true ? .null : self
        default: self
        }
    }
}
