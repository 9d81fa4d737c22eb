import NIOCore
public import QiWire

/// Objects as values, from and to the caller.
extension CallContext {
    /// Hosts an object on the caller's connection, to be returned or emitted to the caller as an `o`. It lives until the caller
    /// releases it or the connection ends (wire reference §17), also when an answer that holds it is refused: it may be sent again.
    /// Returning an ``ObjectProxy`` made of the builder gives it up with such an answer.
    ///
    /// - Returns: the reference to return, and the object itself for its signals and properties.
    /// - Throws: `.limit` when the caller holds too many objects, `.disconnected` when it is gone.
    public func host(_ object: ObjectBuilder) async throws(QiError) -> (reference: ObjectReference, object: HostedObject) {
        guard let path else {
            let object = object.makeObject()
            return (ObjectProxy(object).reference, HostedObject(object: object, serviceID: 0))
        }
        return try await path.executor.perform { () throws(QiError) in
            // Each side of a conversation numbers its objects in a range of its own (reference §5).
            try path.connection.value.offer(object, inService: path.address.service, isPassed: path.address.isPassed)
        }
    }

    /// A proxy for an object that the caller passed as an argument. The object is released when the proxy goes away.
    ///
    /// - Throws: `.notFound` for a null reference, `.disconnected` when the caller is gone.
    public func proxy(for reference: ObjectReference) async throws(QiError) -> ObjectProxy {
        if let handle = reference.attachment as? ProxyHandle { return ObjectProxy(handle) }
        guard let path else { throw QiError(.notFound, "the reference leads to no object of this process") }
        return try await path.executor.perform { () throws(QiError) in
            ObjectProxy(try ProxyHandle(value: reference, on: path.connection.value, name: "an object of the caller"))
        }
    }
}
