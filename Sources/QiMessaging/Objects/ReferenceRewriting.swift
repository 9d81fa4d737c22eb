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
        let value = try payload.readQi(type, objects: source).mapObjects { $0.isNull ? $0 : try rehost($0) }
        var result = ByteBuffer()
        try result.writeQi(value, as: type, objects: destination)
        result.writeBuffer(&payload)
        return result
    }

    /// Where every object in a payload is on the connection that it came by, null references left out.
    static func addresses(in payload: ByteBuffer, as type: QiType, objects: ObjectCoding) throws(WireError) -> [ObjectAddress] {
        guard type.mayHoldObject else { return [] }
        return try payload.qiObjects(in: type, objects: objects)
    }
}
