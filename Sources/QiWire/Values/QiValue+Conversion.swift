extension QiValue {
    /// The value as it would be declared otherwise, by the rules of libqi (reference §22).
    ///
    /// Callers convert arguments to the declared parameters, callees what they return, what DynamicPayload brings and what is
    /// written to a property.
    ///
    /// - Parameters:
    ///   - source: the type the value has.
    ///   - target: the type wanted.
    /// - Throws: `.conversion` when the rules have no way, or the number is out of range; one failing element fails all.
    public func converted(from source: QiType, to target: QiType) throws(WireError) -> QiValue {
        if case .dynamic(let dynamic) = self { return try QiValue.convert(dynamic: dynamic, from: source, to: target) }
        // A value that stands unwrapped where `m` is declared counts as what it is.
        let source = source == .dynamic ? inferredType : source
        switch target {
        case .dynamic: return .dynamic(QiDynamic(signature: Signature(source), value: self))
        case .void, .none: return .void
        case .optional(let content): return try toOptional(from: source, content: content)
        case .bool, .int8, .uint8, .int16, .uint16, .int32, .uint32, .int64, .uint64, .float, .double:
            return try toNumber(from: source, to: target)
        case .string: if case .string = self { return self }
        case .raw: if let raw = toRaw() { return raw }
        case .object: if case .object = self { return self }
        case .list(let element), .varargs(let element): return try toList(from: source, of: element, target)
        case .map(let key, let value): return try toMap(from: source, key: key, value: value)
        case .tuple(let tuple): return try toTuple(from: source, to: tuple)
        case .unknown, .keywordArguments: break
        }
        throw .conversion(source, target)
    }

    private static func convert(dynamic: QiDynamic, from source: QiType, to target: QiType) throws(WireError) -> QiValue {
        if target == .dynamic { return .dynamic(dynamic) }
        let inner = dynamic.unwrapped()
        guard !inner.isEmpty else {
            throw WireError(.conversion, "a dynamic without value cannot become \(target.shownText)")
        }
        // An optional may leave its wrapping only within a dynamic.
        if case .optional(let content?) = inner.value, case .optional(let element) = inner.signature.type, !target.isOptional {
            return try content.converted(from: element, to: target)
        }
        return try inner.value.converted(from: inner.signature.type, to: target)
    }

    private func toOptional(from source: QiType, content: QiType) throws(WireError) -> QiValue {
        switch (self, source) {
        case (.void, _), (.optional(nil), _): .optional(nil)
        case (.optional(let value?), .optional(let element)): .optional(try value.converted(from: element, to: content))
        default: .optional(try converted(from: source, to: content))
        }
    }

    private func toNumber(from source: QiType, to target: QiType) throws(WireError) -> QiValue {
        if source == target { return try checked(as: target) }
        if case .optional = self { throw .conversion(source, target) }
        let number = try QiNumber(self, for: target)
        return switch target {
        case .bool: .bool(try number.bool())
        case .int8: .int8(try number.integer(for: target))
        case .uint8: .uint8(try number.integer(for: target))
        case .int16: .int16(try number.integer(for: target))
        case .uint16: .uint16(try number.integer(for: target))
        case .int32: .int32(try number.integer(for: target))
        case .uint32: .uint32(try number.integer(for: target))
        case .int64: .int64(try number.integer(for: target))
        case .uint64: .uint64(try number.integer(for: target))
        case .float: .float(try number.float())
        default: .double(number.double)
        }
    }

    /// The value itself when it really is of the type its source claims.
    private func checked(as type: QiType) throws(WireError) -> QiValue {
        guard inferredType == type else { throw .conversion(inferredType, type) }
        return self
    }

    /// A string's bytes are raw bytes; the other way round is refused.
    private func toRaw() -> QiValue? {
        switch self {
        case .raw: self
        case .string(let string): .raw(string.byteBuffer)
        default: nil
        }
    }
}

extension QiType {
    fileprivate var isOptional: Bool {
        if case .optional = self { true } else { false }
    }
}
