/// The container rows of reference §22.
extension QiValue {
    func toList(from source: QiType, of element: QiType, _ target: QiType) throws(WireError) -> QiValue {
        guard case .list(let elements) = self, let sourceElement = source.listElement else { throw .conversion(source, target) }
        let wrapping = try QiValue.signature(of: sourceElement, in: element, count: elements.count)
        var converted: [QiValue] = []
        converted.reserveCapacity(elements.count)
        for value in elements { converted.append(try value.converted(from: sourceElement, to: element, wrapping)) }
        return .list(converted)
    }

    /// The longest text of all signatures together, in bytes, that one list or map may take when its elements become dynamics. Each is
    /// written with its own: a short list of a long type would else become as long as both multiplied.
    private static let maximumSignatures = 1 << 24

    /// The one signature of all elements that become dynamics; nil where they do not, or have none yet.
    private static func signature(of source: QiType, in target: QiType, count: Int) throws(WireError) -> Signature? {
        guard target == .dynamic, source != .dynamic, count > 0 else { return nil }
        let signature = Signature(source)
        guard count * signature.text.utf8.count <= maximumSignatures else {
            throw WireError(.limit, "\(count) dynamics with signatures of \(signature.text.utf8.count) bytes")
        }
        return signature
    }

    private func converted(from source: QiType, to target: QiType, _ wrapping: Signature?) throws(WireError) -> QiValue {
        if let wrapping {
            if case .dynamic = self { return self }
            return .dynamic(QiDynamic(signature: wrapping, value: self))
        }
        return try converted(from: source, to: target)
    }

    func toMap(from source: QiType, key: QiType, value: QiType) throws(WireError) -> QiValue {
        var entries: [QiMapEntry] = []
        switch (self, source) {
        case (.map(let old), .map(let oldKey, let oldValue)):
            let keyWrapping = try QiValue.signature(of: oldKey, in: key, count: old.count)
            let valueWrapping = try QiValue.signature(of: oldValue, in: value, count: old.count)
            for entry in old {
                entries.append(
                    QiMapEntry(
                        key: try entry.key.converted(from: oldKey, to: key, keyWrapping),
                        value: try entry.value.converted(from: oldValue, to: value, valueWrapping)))
            }
        case (.list(let elements), _):
            guard let element = source.listElement else { throw .conversion(source, .map(key: key, value: value)) }
            for pair in elements {
                guard case .tuple(let pair) = try pair.converted(from: element, to: .tuple([key, value])) else {
                    throw .conversion(element, .tuple([key, value]))
                }
                entries.append(QiMapEntry(key: pair[0], value: pair[1]))
            }
        case (.tuple(let members), .tuple(let tuple)) where tuple.isFullyNamed && members.count == tuple.members.count:
            for (index, member) in members.enumerated() {
                entries.append(
                    QiMapEntry(
                        key: try QiValue.string(tuple.memberNames[index]).converted(from: .string, to: key),
                        value: try member.converted(from: tuple.members[index], to: value)))
            }
        default: throw .conversion(source, .map(key: key, value: value))
        }
        return .map(entries)
    }

    func toTuple(from source: QiType, to target: TupleType) throws(WireError) -> QiValue {
        switch (self, source) {
        case (.tuple(let members), .tuple(let tuple)) where members.count == tuple.members.count:
            if tuple.matchesByPosition(target) { return try QiValue.byPosition(members, tuple.members, target) }
            return try QiValue.byName(members, tuple, target)
        case (.list(let elements), _):
            guard let element = source.listElement, elements.count == target.members.count else { break }
            return try QiValue.byPosition(elements, Array(repeating: element, count: elements.count), target)
        case (.map(let entries), .map(let keyType, let valueType)):
            return try QiValue.fromMap(entries, keyType, valueType, target)
        default: break
        }
        throw .conversion(source, .tuple(target))
    }

    private static func byPosition(_ values: [QiValue], _ types: [QiType], _ target: TupleType) throws(WireError) -> QiValue {
        var members: [QiValue] = []
        members.reserveCapacity(values.count)
        for (index, value) in values.enumerated() {
            members.append(try value.converted(from: types[index], to: target.members[index]))
        }
        return .tuple(members)
    }

    private static func byName(_ values: [QiValue], _ source: TupleType, _ target: TupleType) throws(WireError) -> QiValue {
        guard source.isFullyNamed, target.isFullyNamed else { throw .conversion(.tuple(source), .tuple(target)) }
        for name in source.memberNames where !target.memberNames.contains(name) {
            guard source.defaultMember(name) != nil else { throw missing(name, .tuple(target)) }
        }
        var members: [QiValue] = []
        for (name, type) in zip(target.memberNames, target.members) {
            if let index = source.memberNames.firstIndex(of: name) {
                members.append(try values[index].converted(from: source.members[index], to: type))
            } else if let value = target.defaultMember(name) {
                members.append(value)
            } else {
                throw missing(name, .tuple(source))
            }
        }
        return .tuple(members)
    }

    private static func fromMap(
        _ entries: [QiMapEntry], _ keyType: QiType, _ valueType: QiType, _ target: TupleType
    ) throws(WireError) -> QiValue {
        guard target.isFullyNamed, keyType == .string || keyType == .dynamic else {
            throw .conversion(.map(key: keyType, value: valueType), .tuple(target))
        }
        var members: [QiValue] = []
        for (name, type) in zip(target.memberNames, target.members) {
            guard let entry = entries.first(where: { $0.key.asString == name }) else {
                throw missing(name, .map(key: keyType, value: valueType))
            }
            members.append(try entry.value.converted(from: valueType, to: type))
        }
        return .tuple(members)
    }

    private static func missing(_ name: String, _ type: QiType) -> WireError {
        WireError(.conversion, "\(type.shownText) has no member \(name), and that has no default")
    }
}

extension QiType {
    fileprivate var listElement: QiType? {
        switch self {
        case .list(let element), .varargs(let element): element
        default: nil
        }
    }
}

extension TupleType {
    /// Whether members correspond by place: equally many, and not both named with other names.
    fileprivate func matchesByPosition(_ other: TupleType) -> Bool {
        guard members.count == other.members.count else { return false }
        return !isFullyNamed || !other.isFullyNamed || Set(memberNames) == Set(other.memberNames)
    }

    /// The value of a member that may be absent. Only ServiceInfo's uid is known to be such: older directories lack it (reference
    /// §12).
    fileprivate func defaultMember(_ member: String) -> QiValue? {
        name == "ServiceInfo" && member == "objectUid" ? .string("") : nil
    }
}
