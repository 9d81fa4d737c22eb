import Foundation
import QiWire

extension QiValue {
    /// The value that JSON typed on the command line means, before it is converted to what a method declares: integers as
    /// `l` (above its range `L`), other numbers as `d`, objects as maps of strings, null as void.
    init(_ json: JSONValue) {
        switch json {
        case .null: self = .void
        case .bool(let value): self = .bool(value)
        case .integer(let value): self = .int64(value)
        case .unsigned(let value): self = .uint64(value)
        case .number(let value): self = .double(value)
        case .string(let value): self = .string(value)
        case .array(let elements): self = .list(elements.map { QiValue($0) })
        case .object(let members):
            self = .map(members.map { QiMapEntry(key: .string($0.name), value: QiValue($0.value)) })
        }
    }
}

extension JSONValue {
    /// A value of the bus as JSON.
    ///
    /// Structures whose members are named become objects, other tuples arrays; maps with strings as keys objects, others arrays
    /// of pairs (which a call takes back as a map); raw bytes base64; an absent optional and void null; numbers that JSON does
    /// not have the strings `NaN`, `Infinity` and `-Infinity`; an object of the bus `{"object":{…}}`.
    ///
    /// - Parameter type: the declared type, which knows the names of a structure's members.
    init(_ value: QiValue, as type: QiType? = nil) {
        switch (value, type) {
        case (.void, _): self = .null
        case (.bool(let value), _): self = .bool(value)
        case (.uint64(let value), _): self = Int64(exactly: value).map { .integer($0) } ?? .unsigned(value)
        case (.float(let value), _): self = Self.floating(Double("\(value)") ?? Double(value))
        case (.double(let value), _): self = Self.floating(value)
        case (.string(let string), _): self = .string(string.lossyText)
        case (.raw, _): self = .string(Data(value.rawBytes).base64EncodedString())
        case (.list(let elements), _): self = .array(elements.map { JSONValue($0, as: type?.elementType) })
        case (.map(let entries), _): self = Self.map(entries, type)
        case (.tuple(let members), .tuple(let tuple)): self = Self.structure(members, tuple)
        case (.tuple(let members), _): self = .array(members.map { JSONValue($0) })
        case (.optional(nil), _): self = .null
        case (.optional(let content?), _): self = JSONValue(content, as: type?.elementType)
        case (.dynamic(let dynamic), _): self = JSONValue(dynamic.value, as: dynamic.signature.type)
        case (.object(let reference), _): self = Self.reference(reference)
        default: self = value.asInt.map { .integer($0) } ?? .null
        }
    }

    private static func floating(_ value: Double) -> JSONValue {
        if value.isFinite { return .number(value) }
        return .string(value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity")
    }

    private static func map(_ entries: [QiMapEntry], _ type: QiType?) -> JSONValue {
        var types: (key: QiType?, value: QiType?) = (nil, nil)
        if case .map(let key, let value)? = type { types = (key, value) }
        let names = entries.compactMap { $0.key.asQiString?.lossyText }
        guard names.count == entries.count, Set(names).count == names.count else {
            return .array(entries.map { .array([JSONValue($0.key, as: types.key), JSONValue($0.value, as: types.value)]) })
        }
        return .object(zip(names, entries).map { ($0, JSONValue($1.value, as: types.value)) })
    }

    private static func structure(_ members: [QiValue], _ tuple: TupleType) -> JSONValue {
        let values = members.enumerated().map { JSONValue($1, as: $0 < tuple.members.count ? tuple.members[$0] : nil) }
        guard tuple.isFullyNamed, tuple.memberNames.count == values.count, Set(tuple.memberNames).count == values.count else {
            return .array(values)
        }
        return .object(zip(tuple.memberNames, values).map { ($0, $1) })
    }

    private static func reference(_ reference: ObjectReference) -> JSONValue {
        if reference.isNull { return .null }
        let methods = (reference.metaObject?.methods ?? []).filter { !$0.isPrivate }.map { JSONValue.string($0.fullName) }
        return .object([
            (
                "object",
                .object([
                    ("service", .integer(Int64(reference.serviceID))), ("id", .integer(Int64(reference.objectID))),
                    ("methods", .array(methods)),
                ])
            )
        ])
    }
}

extension QiValue {
    /// The bytes of a raw value. By way of a string, whose bytes are the same, and which needs no module for buffers.
    fileprivate var rawBytes: [UInt8] {
        guard case .raw(let raw) = self else { return [] }
        var framed = QiString("").byteBuffer
        framed.writeQiRaw(raw)
        do { return try framed.readQiString().bytes } catch { preconditionFailure("bytes just written are not there: \(error)") }
    }
}

extension QiType {
    fileprivate var elementType: QiType? {
        switch self {
        case .list(let element), .varargs(let element), .optional(let element): element
        default: nil
        }
    }
}
