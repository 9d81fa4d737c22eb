extension QiValue {
    /// The value with every object reference in it, at any depth, replaced by what `body` makes of it.
    public func mapObjects<Failure: Error>(
        _ body: (ObjectReference) throws(Failure) -> ObjectReference
    ) throws(Failure) -> QiValue {
        switch self {
        case .object(let reference): return .object(try body(reference))
        case .dynamic(let dynamic):
            return .dynamic(QiDynamic(signature: dynamic.signature, value: try dynamic.value.mapObjects(body)))
        case .list(let elements):
            return .list(try elements.map { (element) throws(Failure) in try element.mapObjects(body) })
        case .tuple(let members):
            return .tuple(try members.map { (member) throws(Failure) in try member.mapObjects(body) })
        case .map(let entries):
            return .map(
                try entries.map { (entry) throws(Failure) in
                    QiMapEntry(key: try entry.key.mapObjects(body), value: try entry.value.mapObjects(body))
                })
        case .optional(let content): return .optional(try content?.mapObjects(body))
        default: return self
        }
    }

    /// Whether there is an object reference anywhere in the value.
    public var holdsObject: Bool {
        switch self {
        case .object: true
        case .dynamic(let dynamic): dynamic.value.holdsObject
        case .list(let elements), .tuple(let elements): elements.contains { $0.holdsObject }
        case .map(let entries): entries.contains { $0.key.holdsObject || $0.value.holdsObject }
        case .optional(let content): content?.holdsObject ?? false
        default: false
        }
    }
}
