/// A type of the qi type system, as a signature describes it (reference §6).
///
/// Two types are equal when they have the same bytes on the wire: the names that a tuple's annotation carries do not count.
public indirect enum QiType: Hashable, Sendable {
    /// `v`, no bytes.
    case void
    /// `b`, one byte, 0 or 1.
    case bool
    /// `c`, one byte.
    case int8
    /// `C`, one byte.
    case uint8
    /// `w`, two bytes.
    case int16
    /// `W`, two bytes.
    case uint16
    /// `i`, four bytes.
    case int32
    /// `I`, four bytes.
    case uint32
    /// `l`, eight bytes.
    case int64
    /// `L`, eight bytes.
    case uint64
    /// `f`, four bytes, IEEE 754.
    case float
    /// `d`, eight bytes, IEEE 754.
    case double
    /// `s`, bytes that are normally UTF-8.
    case string
    /// `r`, bytes.
    case raw
    /// `m`, a value that carries its own signature.
    case dynamic
    /// `o`, a reference to an object (reference §17).
    case object
    /// `X`, a type that cannot be transported.
    case unknown
    /// `_`, the element of an empty container; no bytes, reads as void.
    case none
    /// `[e]`.
    case list(QiType)
    /// `{kv}`.
    case map(key: QiType, value: QiType)
    /// `(e…)`.
    case tuple(TupleType)
    /// `+e`.
    case optional(QiType)
    /// `#e`, on the wire a list.
    case varargs(QiType)
    /// `~e`, has no wire form.
    case keywordArguments(QiType)

    /// An unnamed tuple of `members`.
    public static func tuple(_ members: [QiType]) -> QiType { .tuple(TupleType(members)) }
}

extension QiType {
    /// The fewest bytes that a value of this type takes. Zero means: always zero.
    public var minimumSize: Int {
        switch self {
        case .void, .none, .unknown, .keywordArguments: 0
        case .bool, .int8, .uint8, .optional: 1
        case .int16, .uint16: 2
        case .int32, .uint32, .float, .string, .raw, .dynamic, .list, .map, .varargs: 4
        case .int64, .uint64, .double: 8
        case .object: 12
        case .tuple(let tuple): tuple.minimumSize
        }
    }

    /// The number of bytes of every value of this type, or nil when that depends on the value or the type has no wire form.
    public var fixedSize: Int? {
        switch self {
        case .void, .none, .bool, .int8, .uint8, .int16, .uint16, .int32, .uint32, .float, .int64, .uint64, .double:
            minimumSize
        case .tuple(let tuple): tuple.fixedSize
        default: nil
        }
    }

    /// Whether a value of this type may hold an object reference, be it within a dynamic.
    public var mayHoldObject: Bool {
        switch self {
        case .object, .dynamic: true
        case .list(let element), .optional(let element), .varargs(let element): element.mayHoldObject
        case .map(let key, let value): key.mayHoldObject || value.mayHoldObject
        case .tuple(let tuple): tuple.mayHoldObject
        default: false
        }
    }

    /// Whether this is one of the eight integer types.
    public var isInteger: Bool {
        switch self {
        case .int8, .uint8, .int16, .uint16, .int32, .uint32, .int64, .uint64: true
        default: false
        }
    }

    /// The members of a tuple, nil for another type.
    public var tupleMembers: [QiType]? {
        if case .tuple(let tuple) = self { tuple.members } else { nil }
    }
}

extension QiType: CustomStringConvertible {
    /// The signature, with the annotations of tuples: `(is)<Point,x,name>`.
    public var signatureText: String {
        var text = ""
        appendSignature(to: &text)
        return text
    }

    /// The signature.
    public var description: String { signatureText }

    /// The signature for an error's text: a peer's may be as long as its message, and would come back to it with every error.
    var shownText: String {
        let text = signatureText
        guard text.utf8.count > QiType.longestShown else { return text }
        return "\(text.cut(toBytes: QiType.longestShown))… (\(text.utf8.count) bytes)"
    }

    private static let longestShown = 80

    private func appendSignature(to text: inout String) {
        switch self {
        case .list(let element):
            text += "["
            element.appendSignature(to: &text)
            text += "]"
        case .map(let key, let value):
            text += "{"
            key.appendSignature(to: &text)
            value.appendSignature(to: &text)
            text += "}"
        case .tuple(let tuple):
            text += "("
            for member in tuple.members { member.appendSignature(to: &text) }
            text += ")"
            text += tuple.annotation
        case .optional(let element):
            text += "+"
            element.appendSignature(to: &text)
        case .varargs(let element):
            text += "#"
            element.appendSignature(to: &text)
        case .keywordArguments(let element):
            text += "~"
            element.appendSignature(to: &text)
        default:
            text += String(scalarCharacter)
        }
    }

    private var scalarCharacter: Character {
        switch self {
        case .void: "v"
        case .bool: "b"
        case .int8: "c"
        case .uint8: "C"
        case .int16: "w"
        case .uint16: "W"
        case .int32: "i"
        case .uint32: "I"
        case .int64: "l"
        case .uint64: "L"
        case .float: "f"
        case .double: "d"
        case .string: "s"
        case .raw: "r"
        case .dynamic: "m"
        case .object: "o"
        case .none: "_"
        default: "X"
        }
    }
}
