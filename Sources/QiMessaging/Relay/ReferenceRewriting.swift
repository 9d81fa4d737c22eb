import NIOCore
import QiWire

/// Object references inside payloads that pass from one connection to another. An object id means something on its own
/// connection only, so a reference is re-hosted on the near side and its uid kept (wire reference §17, §25).
enum ReferenceRewriting {
    /// Makes the reference that the receiving side gets for one that the sending side gave.
    typealias Rehost = (ObjectReference) throws -> ObjectReference

    /// Whether a payload of this type holds an object reference anywhere.
    static func holdsObject(_ payload: ByteBuffer, as type: QiType, objects: ObjectCoding) throws(WireError) -> Bool {
        guard type.mayHoldObject else { return false }
        var payload = payload
        return try payload.skipQi(type, objects: objects)
    }

    /// The payload with every reference replaced; what follows the value (a wanted return type) is kept.
    static func rewrite(
        _ payload: ByteBuffer, as type: QiType, from source: ObjectCoding, to destination: ObjectCoding, _ rehost: Rehost
    ) throws -> ByteBuffer {
        var payload = payload
        let value = try replace(try payload.readQi(type, objects: source), rehost)
        var result = ByteBuffer()
        try result.writeQi(value, as: type, objects: destination)
        result.writeBuffer(&payload)
        return result
    }

    /// Every reference in a payload, null ones left out.
    static func references(in payload: ByteBuffer, as type: QiType, objects: ObjectCoding) throws -> [ObjectReference] {
        var payload = payload
        var found: [ObjectReference] = []
        _ = try replace(try payload.readQi(type, objects: objects)) { reference in
            found.append(reference)
            return reference
        }
        return found
    }

    private static func replace(_ value: QiValue, _ rehost: Rehost) throws -> QiValue {
        switch value {
        case .object(let reference): .object(reference.isNull ? reference : try rehost(reference))
        case .dynamic(let dynamic):
            .dynamic(QiDynamic(signature: dynamic.signature, value: try replace(dynamic.value, rehost)))
        case .list(let elements): .list(try elements.map { try replace($0, rehost) })
        case .tuple(let members): .tuple(try members.map { try replace($0, rehost) })
        case .map(let entries):
            .map(try entries.map { QiMapEntry(key: try replace($0.key, rehost), value: try replace($0.value, rehost)) })
        case .optional(let wrapped): .optional(try wrapped.map { try replace($0, rehost) })
        default: value
        }
    }
}
