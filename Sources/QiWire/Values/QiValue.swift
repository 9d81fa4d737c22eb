public import NIOCore

/// A value of the qi type system.
///
/// A value does not know its declared type (an empty list is just a list): it is read, written and converted *against* a
/// `QiType`,
/// the way JSON is read against a schema. `QiDynamic` carries its own.
public enum QiValue: Hashable, Sendable {
    /// Of `v` and `_`.
    case void
    /// Of `b`.
    case bool(Bool)
    /// Of `c`.
    case int8(Int8)
    /// Of `C`.
    case uint8(UInt8)
    /// Of `w`.
    case int16(Int16)
    /// Of `W`.
    case uint16(UInt16)
    /// Of `i`.
    case int32(Int32)
    /// Of `I`.
    case uint32(UInt32)
    /// Of `l`.
    case int64(Int64)
    /// Of `L`.
    case uint64(UInt64)
    /// Of `f`.
    case float(Float)
    /// Of `d`.
    case double(Double)
    /// Of `s`.
    indirect case string(QiString)
    /// Of `r`; may share the storage of the message it came in.
    indirect case raw(ByteBuffer)
    /// Of `[e]` and `#e`.
    case list([QiValue])
    /// Of `{kv}`, in wire order.
    case map([QiMapEntry])
    /// Of `(e…)`.
    case tuple([QiValue])
    /// Of `+e`.
    indirect case optional(QiValue?)
    /// Of `m`.
    indirect case dynamic(QiDynamic)
    /// Of `o`.
    indirect case object(ObjectReference)

    /// A string of text.
    public static func string(_ text: String) -> QiValue { .string(QiString(text)) }

    /// A dynamic holding `value` with its natural signature.
    public static func dynamic(_ value: QiValue) -> QiValue { .dynamic(QiDynamic(value)) }
}

/// One entry of a map.
public struct QiMapEntry: Hashable, Sendable {
    /// The key.
    public var key: QiValue
    /// The value.
    public var value: QiValue

    /// Creates an entry.
    public init(key: QiValue, value: QiValue) {
        self.key = key
        self.value = value
    }
}

extension QiValue {
    /// The type this value has by itself.
    ///
    /// Members of a list or map that differ in type, and those of an empty one, are `m`. An absent optional is `+m`.
    public var inferredType: QiType {
        switch self {
        case .void: .void
        case .bool: .bool
        case .int8: .int8
        case .uint8: .uint8
        case .int16: .int16
        case .uint16: .uint16
        case .int32: .int32
        case .uint32: .uint32
        case .int64: .int64
        case .uint64: .uint64
        case .float: .float
        case .double: .double
        case .string: .string
        case .raw: .raw
        case .list(let elements): .list(QiValue.commonType(elements))
        case .map(let entries):
            .map(key: QiValue.commonType(entries.lazy.map(\.key)), value: QiValue.commonType(entries.lazy.map(\.value)))
        case .tuple(let members): .tuple(members.map(\.inferredType))
        case .optional(let value): .optional(value?.inferredType ?? .dynamic)
        case .dynamic: .dynamic
        case .object: .object
        }
    }

    private static func commonType(_ values: some Sequence<QiValue>) -> QiType {
        var common: QiType?
        for value in values {
            let type = value.inferredType
            if let common, common != type { return .dynamic }
            common = type
        }
        return common ?? .dynamic
    }

    /// What the value is, in a word, for error messages.
    var kindName: String {
        switch self {
        case .list: "list"
        case .map: "map"
        case .tuple: "tuple"
        case .optional: "optional"
        case .string: "string"
        case .object: "object"
        case .dynamic: "dynamic"
        case .raw: "raw"
        case .void: "void"
        case .bool: "bool"
        default: "number (\(inferredType.signatureText))"
        }
    }
}
