public import NIOCore

/// Loose access for people who know what they expect. Each looks through dynamics and present optionals.
extension QiValue {
    /// The value within any nesting of dynamics and present optionals.
    public var unwrapped: QiValue {
        var value = self
        while true {
            switch value {
            case .dynamic(let dynamic): value = dynamic.value
            case .optional(let inner?): value = inner
            default: return value
            }
        }
    }

    /// Whether this is void or an absent optional.
    public var isVoid: Bool {
        switch unwrapped {
        case .void, .optional(nil): true
        default: false
        }
    }

    /// The text of a string, nil when it is no string or not UTF-8.
    public var asString: String? {
        if case .string(let string) = unwrapped { string.text } else { nil }
    }

    /// The string, nil when it is none.
    public var asQiString: QiString? {
        if case .string(let string) = unwrapped { string } else { nil }
    }

    /// An integer of any width, nil for another value and for a uint64 above Int64.max.
    public var asInt: Int64? {
        switch unwrapped {
        case .int8(let value): Int64(value)
        case .uint8(let value): Int64(value)
        case .int16(let value): Int64(value)
        case .uint16(let value): Int64(value)
        case .int32(let value): Int64(value)
        case .uint32(let value): Int64(value)
        case .int64(let value): value
        case .uint64(let value): Int64(exactly: value)
        default: nil
        }
    }

    /// An integer that fits 32 bits unsigned, as ids are.
    public var asUInt32: UInt32? { asInt.flatMap { UInt32(exactly: $0) } }

    /// A number as double, rounded if need be.
    public var asDouble: Double? {
        switch unwrapped {
        case .float(let value): Double(value)
        case .double(let value): value
        case .uint64(let value): Double(value)
        case let other: other.asInt.map { Double($0) }
        }
    }

    /// A bool.
    public var asBool: Bool? {
        if case .bool(let value) = unwrapped { value } else { nil }
    }

    /// The elements of a list.
    public var asList: [QiValue]? {
        if case .list(let elements) = unwrapped { elements } else { nil }
    }

    /// The members of a tuple.
    public var asTuple: [QiValue]? {
        if case .tuple(let members) = unwrapped { members } else { nil }
    }

    /// The entries of a map.
    public var asMap: [QiMapEntry]? {
        if case .map(let entries) = unwrapped { entries } else { nil }
    }

    /// The bytes of a raw value.
    public var asRaw: ByteBuffer? {
        if case .raw(let bytes) = unwrapped { bytes } else { nil }
    }

    /// An object reference.
    public var asObject: ObjectReference? {
        if case .object(let reference) = unwrapped { reference } else { nil }
    }
}
