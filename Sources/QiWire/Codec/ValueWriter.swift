import NIOCore

extension ByteBuffer {
    mutating func writeQiValue(_ value: QiValue, as type: QiType, objects: ObjectCoding) throws(WireError) {
        switch (value, type) {
        case (.void, .void), (.void, .none): break
        case (.bool(let value), .bool): writeInteger(value ? 1 : 0, as: UInt8.self)
        case (.int8(let value), .int8): writeInteger(value)
        case (.uint8(let value), .uint8): writeInteger(value)
        case (.int16(let value), .int16): writeInteger(value, endianness: .little)
        case (.uint16(let value), .uint16): writeInteger(value, endianness: .little)
        case (.int32(let value), .int32): writeInteger(value, endianness: .little)
        case (.uint32(let value), .uint32): writeInteger(value, endianness: .little)
        case (.int64(let value), .int64): writeInteger(value, endianness: .little)
        case (.uint64(let value), .uint64): writeInteger(value, endianness: .little)
        case (.float(let value), .float): writeInteger(value.bitPattern, endianness: .little)
        case (.double(let value), .double): writeInteger(value.bitPattern, endianness: .little)
        case (.string(let value), .string): writeQiString(value)
        case (.raw(let value), .raw): writeQiRaw(value)
        case (.list(let elements), .list(let element)), (.list(let elements), .varargs(let element)):
            writeInteger(UInt32(truncatingIfNeeded: elements.count), endianness: .little)
            for value in elements { try writeQiValue(value, as: element, objects: objects) }
        case (.map(let entries), .map(let keyType, let valueType)):
            writeInteger(UInt32(truncatingIfNeeded: entries.count), endianness: .little)
            for entry in entries {
                try writeQiValue(entry.key, as: keyType, objects: objects)
                try writeQiValue(entry.value, as: valueType, objects: objects)
            }
        case (.tuple(let members), .tuple(let tuple)) where members.count == tuple.members.count:
            for (value, type) in zip(members, tuple.members) { try writeQiValue(value, as: type, objects: objects) }
        case (.optional(let content), .optional(let element)):
            writeInteger(content == nil ? 0 : 1, as: UInt8.self)
            if let content { try writeQiValue(content, as: element, objects: objects) }
        case (.dynamic(let dynamic), .dynamic):
            writeQiString(dynamic.signature.text)
            try writeQiValue(dynamic.value, as: dynamic.signature.type, objects: objects)
        // What is in an `m` has to be wrapped on the wire only.
        case (_, .dynamic): try writeQiValue(.dynamic(QiDynamic(value)), as: .dynamic, objects: objects)
        case (.object(let reference), .object): try writeReference(reference, objects: objects)
        case (_, .unknown), (_, .keywordArguments):
            throw WireError(.signature, "the type \(type.signatureText) has no wire form")
        default: throw .mismatch(value, type)
        }
    }

    private mutating func writeReference(_ reference: ObjectReference, objects: ObjectCoding) throws(WireError) {
        if objects.sharesMetaObjectCache {
            writeInteger(reference.metaObject == nil ? 0 : 1, as: UInt8.self)
            reference.metaObject?.write(to: &self)
            guard reference.metaObject != nil || reference.cacheID != nil else {
                throw WireError(.value, "an object reference needs a metaobject or a cache id")
            }
            writeInteger(reference.cacheID ?? ObjectReference.uncached, endianness: .little)
        } else if let metaObject = reference.metaObject {
            metaObject.write(to: &self)
        } else if reference.isNull {
            MetaObject.empty.write(to: &self)
        } else {
            throw WireError(.value, "an object reference needs its metaobject; take it from the cache it was received with")
        }
        writeInteger(reference.serviceID, endianness: .little)
        writeInteger(reference.objectID, endianness: .little)
        guard objects.sharesObjectUID else { return }
        guard let uid = reference.uid ?? (reference.isNull ? .zero : nil) else {
            throw WireError(.value, "an object reference needs a uid on this connection; give it one")
        }
        let (first, second, third) = uid.parts
        writeInteger(first)
        writeInteger(second)
        writeInteger(third)
    }
}
