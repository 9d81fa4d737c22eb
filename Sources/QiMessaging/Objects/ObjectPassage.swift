import NIOCore
import QiWire

/// The objects in one message on its way through us. However many receive the message, each object of the owner's is one
/// ``RemoteObject`` here, released when the last of them has let it go (wire reference §17). Confined to the bus loop.
final class ObjectPassage {
    private let source: Connection
    private let name: String
    private let areArguments: Bool
    private var objects: [ObjectAddress: RemoteObject] = [:]

    /// - Parameters:
    ///   - source: the connection the message came on.
    ///   - name: what errors call the object it came from, or went to.
    ///   - areArguments: whether they go to an object that others use too: they count for their owner (``PassedObject``).
    init(from source: Connection, name: String, areArguments: Bool = false) {
        self.source = source
        self.name = areArguments ? "an object passed to \(name)" : "an object of \(name)"
        self.areArguments = areArguments
    }

    /// The payload for `destination`, which gets an address of its own for every object: those addresses. When it cannot get all, it gets
    /// none.
    ///
    /// - Throws: `.limit` when `destination` would hold too many, or their owner has passed too many; nothing is built then.
    func rewrite(
        _ payload: ByteBuffer, as type: QiType, to destination: Connection, inService service: UInt32, isPassed: Bool
    ) throws -> (payload: ByteBuffer, given: [ObjectAddress]) {
        let count = try ReferenceRewriting.addresses(in: payload, as: type, objects: source.objectCoding).count
        try destination.checkHosting(count)
        if areArguments { try source.checkPassing(count) }
        var given: [ObjectAddress] = []
        do {
            let rewritten = try ReferenceRewriting.rewrite(
                payload, as: type, from: source.objectCoding, to: destination.objectCoding
            ) { reference in
                let object = try object(reference)
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

    private func object(_ reference: ObjectReference) throws(QiError) -> RemoteObject {
        if let known = objects[reference.address] { return known }
        // Sent before under the same id: both are let go together.
        if let known = source.heldObject(at: reference.address) {
            objects[reference.address] = known
            return known
        }
        let metaObject = reference.metaObject ?? .empty
        let passed = areArguments ? try PassedObject(metaObject, by: source) : nil
        let object = RemoteObject(
            bus: source.bus, name: name, connection: source, address: reference.address, metaObject: metaObject, isMain: false)
        object.passed = passed
        objects[reference.address] = object
        return object
    }

    /// Tells the owner of the objects that no receiver was given: they would live as long as its connection.
    func releaseUnused(in payload: ByteBuffer, as type: QiType) {
        for object in objects.values where !object.isHeld { object.release() }
        // What cannot be read holds nothing that could be released.
        guard let addresses = try? ReferenceRewriting.addresses(in: payload, as: type, objects: source.objectCoding) else { return }
        source.letGo(addresses.filter { objects[$0] == nil })
    }
}
