import NIOCore
public import QiWire

/// Who calls and what, for a method that wants to know; also the way to give objects to the caller and to use the caller's.
public struct CallContext: Sendable {
    /// The call that the current task serves; nil outside of one. Calls of a typed proxy within this process are plain function
    /// calls, and do not change it.
    @TaskLocal public static var current: CallContext?

    /// Who calls, and where the call came in: somebody outside, when a gateway passed the call on (see ``Caller``).
    public var caller: Caller { content.caller }
    /// Where the call came in.
    public var origin: ConnectionOrigin { content.caller.origin }
    /// The object that was called: emits its signals, sets its properties.
    public var object: HostedObject { content.object }

    /// One reference, for a context goes through a task-local with every call; the same for all calls of an object on a connection.
    private final class Content: Sendable {
        let caller: Caller
        let object: HostedObject
        /// What the call came on; nil within this process.
        let path: Path?

        init(_ caller: Caller, _ object: HostedObject, _ path: Path?) {
            self.caller = caller
            self.object = object
            self.path = path
        }
    }

    private let content: Content
    private var path: Path? { content.path }

    private struct Path: Sendable {
        let executor: LoopExecutor
        let connection: NIOLoopBound<Connection>
        let address: ObjectAddress
    }

    init(on connection: Connection, at address: ObjectAddress, to object: LocalObject, caller: Caller) {
        let path = Path(
            executor: object.bus.executor, connection: NIOLoopBound(connection, eventLoop: object.bus.eventLoop), address: address)
        content = Content(caller, HostedObject(object: object.object, serviceID: address.service), path)
    }

    /// Of a call within this process.
    init(to object: DynamicObject) {
        content = Content(
            Caller(principal: Principal(.process, zone: .internal), origin: .process), HostedObject(object: object, serviceID: 0), nil)
    }

    /// Whether this is the context of calls to `object` at `address`.
    func belongs(to object: LocalObject, at address: ObjectAddress) -> Bool {
        content.path?.address == address && content.object.object === object.object
    }

    /// Runs `body` once, when the connection the call came on has ended, which may be now; a gateway's outlives its callers. Never for
    /// a call within this process.
    public func whenConnectionEnds(_ body: @escaping @Sendable () -> Void) {
        guard let path else { return }
        path.executor.submit { path.connection.value.whenClosed { _ in body() } }
    }

    /// Hosts an object on the caller's connection, to be returned or emitted to the caller as an `o`. It lives until the caller
    /// releases it or the connection ends (wire reference §17).
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
