import NIOCore
import QiWire

/// The objects in one message on its way through us. However many receive the message, each object of the owner's is one
/// ``RemoteObject`` here, released when the last of them has let it go (wire reference §17). Confined to the bus loop.
final class ObjectPassage {
    private let source: Connection
    private let name: String
    private var objects: [ObjectAddress: RemoteObject] = [:]

    /// - Parameters:
    ///   - source: the connection the message came on.
    ///   - name: what errors call the object it came from, or went to.
    init(from source: Connection, name: String) {
        self.source = source
        self.name = name
    }

    /// The payload for `destination`, which gets an address of its own for every object: those addresses. When it cannot get all, it gets
    /// none.
    func rewrite(
        _ payload: ByteBuffer, as type: QiType, to destination: Connection, inService service: UInt32, isPassed: Bool
    ) throws -> (payload: ByteBuffer, given: [ObjectAddress]) {
        var given: [ObjectAddress] = []
        do {
            let rewritten = try ReferenceRewriting.rewrite(
                payload, as: type, from: source.objectCoding, to: destination.objectCoding
            ) { reference in
                let object = object(reference)
                let address = try destination.host(object, inService: service, isPassed: isPassed)
                object.addHolder()
                given.append(address)
                return ObjectReference(
                    metaObject: object.metaObject, serviceID: address.service, objectID: address.object,
                    uid: reference.uid ?? .random())
            }
            return (rewritten, given)
        } catch {
            destination.release(given)
            throw error
        }
    }

    private func object(_ reference: ObjectReference) -> RemoteObject {
        if let known = objects[reference.address] { return known }
        // Sent before under the same id: both are let go together.
        if let known = source.eventSink(at: reference.address) as? RemoteObject, known.isHeld {
            objects[reference.address] = known
            return known
        }
        let object = RemoteObject(
            bus: source.bus, name: "an object of \(name)", connection: source, address: reference.address,
            metaObject: reference.metaObject ?? .empty, isMain: false)
        objects[reference.address] = object
        return object
    }

    /// Tells the owner of the objects that nobody was given: they would live as long as its connection.
    func releaseUnused(in payload: ByteBuffer, as type: QiType) {
        for object in objects.values where !object.isHeld { object.release() }
        // What cannot be read holds nothing that could be released.
        guard let references = try? ReferenceRewriting.references(in: payload, as: type, objects: source.objectCoding) else { return }
        for reference in references where objects[reference.address] == nil { object(reference).release() }
    }
}
