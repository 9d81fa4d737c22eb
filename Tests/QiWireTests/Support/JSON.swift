import Foundation
import NIOCore
import QiWire

/// A JSON value, as the vectors use it.
enum JSON: Decodable, Hashable, Sendable {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([JSON])
    case object([String: JSON])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSON].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSON].self))
        }
    }

    subscript(key: String) -> JSON? {
        if case .object(let members) = self { members[key] } else { nil }
    }

    /// Whether an object reference occurs anywhere within.
    var holdsObject: Bool {
        switch self {
        case .array(let elements): elements.contains { $0.holdsObject }
        case .object(let members): members["$object"] != nil || members.values.contains { $0.holdsObject }
        default: false
        }
    }
}

extension JSON {
    /// A value in the JSON form that `Vectors/README.md` describes.
    init(_ value: QiValue, _ type: QiType) {
        switch (value, type) {
        case (.void, _): self = .null
        case (.bool(let value), _): self = .bool(value)
        case (.int64(let value), _): self = .string(String(value))
        case (.uint64(let value), _): self = .string(String(value))
        case (.float(let value), _): self = JSON(Double(value))
        case (.double(let value), _): self = JSON(value)
        case (.string(let string), _):
            self = string.text.map { .string($0) } ?? .object(["$bytes": .string(hex(ByteBuffer(bytes: string.bytes)))])
        case (.raw(let bytes), _): self = .object(["$raw": .string(hex(bytes))])
        case (.list(let elements), .list(let element)), (.list(let elements), .varargs(let element)):
            self = .array(elements.map { JSON($0, element) })
        case (.map(let entries), .map(let key, let value)):
            self = .array(entries.map { .array([JSON($0.key, key), JSON($0.value, value)]) })
        case (.tuple(let members), .tuple(let tuple)):
            self = .array(zip(members, tuple.members).map { JSON($0, $1) })
        case (.optional(let content), .optional(let element)):
            self = content.map { .object(["$some": JSON($0, element)]) } ?? .null
        case (.dynamic(let dynamic), _):
            self = .object([
                "$sig": .string(dynamic.signature.text), "$value": JSON(dynamic.value, dynamic.signature.type),
            ])
        case (.object(let reference), _): self = .object(["$object": JSON(reference)])
        default: self = value.asInt.map { .number(Double($0)) } ?? .string("unexpected \(value) for \(type)")
        }
    }

    private init(_ number: Double) {
        if number.isNaN {
            self = .string("nan")
        } else if number.isInfinite {
            self = .string(number < 0 ? "-inf" : "inf")
        } else if number == 0, number.sign == .minus {
            self = .string("-0.0")
        } else {
            self = .number(number)
        }
    }

    private init(_ reference: ObjectReference) {
        var members: [String: JSON] = [
            "serviceId": .number(Double(reference.serviceID)), "objectId": .number(Double(reference.objectID)),
        ]
        members["uid"] = reference.uid.map { .string($0.description) }
        members["metaObject"] = reference.metaObject.map { JSON($0.qiValue, MetaObject.qiType) }
        if let cacheID = reference.cacheID {
            members["metaObjectCacheId"] = .number(Double(cacheID))
            members["transmitMetaObject"] = .bool(reference.metaObject != nil)
        }
        self = .object(members)
    }
}

/// Lower-case hexadecimal digits of the readable bytes.
func hex(_ buffer: ByteBuffer) -> String {
    let digits = Array("0123456789abcdef")
    var text = ""
    for byte in buffer.readableBytesView {
        text.append(digits[Int(byte >> 4)])
        text.append(digits[Int(byte & 15)])
    }
    return text
}

/// A buffer of the bytes that hexadecimal digits name; blanks are skipped.
func bytes(_ hex: String) -> ByteBuffer {
    var buffer = ByteBuffer()
    let digits = hex.compactMap(\.hexDigitValue)
    for index in stride(from: 0, to: digits.count - 1, by: 2) {
        buffer.writeInteger(UInt8(digits[index] << 4 | digits[index + 1]))
    }
    return buffer
}
