import NIOCore
public import QiWire

/// Who calls and what, for a method that wants to know; also the way to give objects to the caller and to use the caller's.
public struct CallContext: Sendable {
    /// Where the call came in.
    public let origin: ConnectionOrigin
    /// The object that was called: emits its signals, sets its properties.
    public let object: HostedObject
    let executor: LoopExecutor
    let connection: NIOLoopBound<Connection>
    let address: ObjectAddress

    init(_ call: IncomingCall, to object: LocalObject) {
        origin = call.connection.origin
        address = call.address.target
        self.object = HostedObject(object: object, serviceID: address.service)
        executor = object.bus.executor
        connection = NIOLoopBound(call.connection, eventLoop: object.bus.eventLoop)
    }

    /// Runs `body` once, when the connection the call came on has ended, which may be now.
    public func whenConnectionEnds(_ body: @escaping @Sendable () -> Void) {
        let connection = self.connection
        executor.submit { connection.value.whenClosed { _ in body() } }
    }

    /// Hosts an object on the caller's connection, to be returned or emitted to the caller as an `o`. It lives until the caller
    /// releases it or the connection ends (wire reference §17).
    ///
    /// - Returns: the reference to return, and the object itself for its signals and properties.
    /// - Throws: `.limit` when the caller holds too many objects, `.disconnected` when it is gone.
    public func host(_ object: ObjectBuilder) async throws(QiError) -> (reference: ObjectReference, object: HostedObject) {
        let (connection, address) = (connection, address)
        return try await executor.perform { () throws(QiError) in
            // Each side of a conversation numbers its objects in a range of its own (reference §5).
            try connection.value.offer(object, inService: address.service, isPassed: address.isPassed)
        }
    }

    /// A proxy for an object that the caller passed as an argument. The object is released when the proxy goes away.
    ///
    /// - Throws: `.notFound` for a null reference, `.disconnected` when the caller is gone.
    public func proxy(for reference: ObjectReference) async throws(QiError) -> ObjectProxy {
        let connection = self.connection
        return try await executor.perform { () throws(QiError) in
            try ObjectProxy(value: reference, on: connection.value, name: "an object of the caller")
        }
    }
}
