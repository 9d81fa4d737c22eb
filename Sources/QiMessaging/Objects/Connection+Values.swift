import NIOCore
import QiWire

/// Objects inside values that come and go: what arrives gets a proxy that releases it, what leaves gets an address of this
/// connection (wire reference §17).
extension Connection {
    /// The value with a proxy attached to every object reference in it: when nobody holds the proxy any more, the peer is told.
    ///
    /// - Throws: `.limit` when we would hold too many objects of this peer: it is told that none of them is used.
    func adopting(_ value: QiValue, named name: String) throws(QiError) -> QiValue {
        guard value.holdsObject else { return value }
        let addresses = bus.loop == nil ? [] : value.objectsToAdopt
        guard objectsHeld + addresses.count <= limits.maximumHostedObjects else {
            letGo(addresses)
            let held = "\(objectsHeld) objects of the peer are held on this connection"
            throw QiError(.limit, "\(held), and \(addresses.count) more are too many: let some go")
        }
        guard !addresses.isEmpty else { return value }
        return try value.mapObjects { (reference) throws(QiError) in
            guard !reference.isNull, reference.attachment == nil else { return reference }
            var reference = reference
            reference.attachment = try ProxyHandle(value: reference, on: self, name: name)
            return reference
        }
    }

    /// Hands `body` the values with an address of this connection for every object of ours in them. When `body` fails the addresses are of
    /// no use, and are given up. Those of objects that were hosted before (``offer(_:inService:isPassed:)``) stay: their owner may send
    /// them again.
    ///
    /// - Returns: the addresses that were given for this message alone.
    @discardableResult
    func exporting(
        _ values: [QiValue], inService service: UInt32, isPassed: Bool, _ body: ([QiValue]) throws(WireError) -> Void
    ) throws -> [ObjectAddress] {
        guard values.contains(where: \.holdsObject) else {
            try body(values)
            return []
        }
        var given: [ObjectAddress] = []
        do {
            let exported = try values.map { value in
                try value.mapObjects { (reference) throws(QiError) in
                    guard let proxy = reference.attachment as? ProxyHandle else { return reference }
                    let address = try host(try proxy.receiver(on: bus), inService: service, isPassed: isPassed)
                    given.append(address)
                    return ObjectReference(
                        metaObject: proxy.metaObject, serviceID: address.service, objectID: address.object, uid: reference.uid ?? .random())
                }
            }
            try body(exported)
            return given
        } catch {
            release(given)
            throw error
        }
    }

    /// The object of the peer at that address that is held here.
    func heldObject(at address: ObjectAddress) -> RemoteObject? {
        guard let known = eventSink(at: address) as? RemoteObject, known.isHeld else { return nil }
        return known
    }

    /// Hosts a new object of this process, as a value for the peer. It lives until the peer releases it or the connection ends.
    func offer(
        _ builder: ObjectBuilder, inService service: UInt32, isPassed: Bool
    ) throws(QiError) -> (reference: ObjectReference, object: HostedObject) {
        let object = builder.makeObject()
        let address = try host(LocalObject(bus: bus, object: object), inService: service, isPassed: isPassed)
        let reference = ObjectReference(
            metaObject: object.metaObject, serviceID: address.service, objectID: address.object, uid: object.uid)
        return (reference, HostedObject(object: object, serviceID: address.service))
    }
}

extension QiValue {
    /// The objects in the value that no proxy is attached to.
    fileprivate var objectsToAdopt: [ObjectAddress] {
        var addresses: [ObjectAddress] = []
        _ = mapObjects { reference in
            if !reference.isNull, reference.attachment == nil { addresses.append(reference.address) }
            return reference
        }
        return addresses
    }
}
