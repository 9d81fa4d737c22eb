/// Which method a name and arguments mean. The caller decides; the callee only ever sees the uid (reference §21).
public enum OverloadResolution {
    /// Finds the method for argument values.
    ///
    /// A dynamic counts as `m` first and, if that decides nothing, as what it holds.
    ///
    /// - Parameter name: `name`, or `name::(parameters)` to name one overload.
    /// - Throws: `.resolution` when no method fits, or several fit equally well.
    public static func resolve(
        _ name: String, arguments: [QiValue], in metaObject: MetaObject
    ) throws(WireError) -> MetaMethod {
        try resolve(
            name, types: arguments.map(\.inferredType), resolvedTypes: arguments.map(\.resolvedType), in: metaObject)
    }

    /// Finds the method for arguments of these static types. As `resolve(_:arguments:in:)`.
    public static func resolve(
        _ name: String, types: [QiType], in metaObject: MetaObject
    ) throws(WireError) -> MetaMethod {
        try resolve(name, types: types, resolvedTypes: types, in: metaObject)
    }

    /// - Parameters:
    ///   - types: the arguments' types with dynamics as `m`.
    ///   - resolvedTypes: the same with dynamics as what they hold.
    static func resolve(
        _ name: String, types: [QiType], resolvedTypes: [QiType], in metaObject: MetaObject
    ) throws(WireError) -> MetaMethod {
        if name.utf8.contains(UInt8(ascii: ":")) { return try exact(name, in: metaObject) }
        let overloads = metaObject.methods(named: name)
        guard !overloads.isEmpty else { throw WireError(.resolution, "Can't find method: \(name)") }
        let candidates = overloads.compactMap { Candidate($0) }
        let fitting = candidates.filter { $0.takes(types.count) }
        let text = QiType.tuple(resolvedTypes).signatureText
        guard let first = fitting.first else { throw mismatch(name, text) }
        if fitting.count == 1 { return first.method }
        var ambiguous = false
        for types in [types, resolvedTypes] {
            switch best(of: fitting, for: .tuple(types)) {
            case .one(let method): return method
            case .several: ambiguous = true
            case .none: break
            }
        }
        guard ambiguous else { throw mismatch(name, text) }
        throw WireError(.resolution, "Ambiguous overload for \(name) (resolved to '\(text)'); name one as \(name)::(types)")
    }

    private static func exact(_ name: String, in metaObject: MetaObject) throws(WireError) -> MetaMethod {
        if let method = metaObject.method(fullName: name) { return method }
        let bare = try MethodName(name).name
        guard metaObject.methods(named: bare).isEmpty else {
            throw WireError(.resolution, "Arguments types did not match for \(name)")
        }
        throw WireError(.resolution, "Can't find method: \(name)")
    }

    private static func mismatch(_ name: String, _ types: String) -> WireError {
        WireError(.resolution, "Arguments types did not match for \(name) (resolved to '\(types)')")
    }

    /// An overload whose parameters can be parsed; others cannot be called by bare name.
    private struct Candidate {
        var method: MetaMethod
        var parameters: QiType

        init?(_ method: MetaMethod) {
            guard let signature = try? method.parsedParameters() else { return nil }
            self.method = method
            parameters = signature.type
        }

        func takes(_ count: Int) -> Bool { parameters == .dynamic || parameters.tupleMembers?.count == count }
    }

    private enum Best {
        case none
        case one(MetaMethod)
        case several
    }

    private static func best(of candidates: [Candidate], for arguments: QiType) -> Best {
        var best = Best.none
        var bestScore = 0.0
        for candidate in candidates {
            let score = Convertibility.score(from: arguments, to: candidate.parameters)
            if score > bestScore {
                best = .one(candidate.method)
                bestScore = score
            } else if score == bestScore, score > 0 {
                best = .several
            }
        }
        return best
    }
}

extension QiValue {
    /// The type with dynamics replaced by what they hold, at any depth; the element of an empty container is `_`.
    var resolvedType: QiType {
        switch self {
        case .dynamic(let dynamic): dynamic.unwrapped().value.resolvedType
        case .list(let elements): .list(QiValue.commonResolvedType(elements))
        case .map(let entries):
            .map(
                key: QiValue.commonResolvedType(entries.lazy.map(\.key)),
                value: QiValue.commonResolvedType(entries.lazy.map(\.value)))
        case .tuple(let members): .tuple(members.map(\.resolvedType))
        case .optional(let value): .optional(value?.resolvedType ?? .dynamic)
        default: inferredType
        }
    }

    private static func commonResolvedType(_ values: some Sequence<QiValue>) -> QiType {
        var common: QiType?
        for value in values {
            let type = value.resolvedType
            if let common, common != type { return .dynamic }
            common = type
        }
        return common ?? .none
    }
}
