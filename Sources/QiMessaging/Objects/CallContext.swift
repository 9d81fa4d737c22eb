import NIOCore
import QiWire

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
    /// The same for calls that have the same context.
    var identity: AnyObject { content }
    var path: Path? { content.path }
    /// Who keeps a path by this call; nil within this process.
    var holder: PathHolds.Holder? { content.path?.holder }

    /// The connection that the call came on, and the object's address there.
    struct Path: Sendable {
        let executor: LoopExecutor
        let connection: NIOLoopBound<Connection>
        let holder: PathHolds.Holder
        let address: ObjectAddress
    }

    init(on connection: Connection, at address: ObjectAddress, to object: LocalObject, caller: Caller) {
        let path = Path(
            executor: object.bus.executor, connection: NIOLoopBound(connection, eventLoop: object.bus.eventLoop),
            holder: PathHolds.Holder(bus: ObjectIdentifier(object.bus), connection: connection.id), address: address)
        content = Content(caller, HostedObject(object: object.object, serviceID: address.service), path)
    }

    /// Of a call within this process.
    init(to object: DynamicObject) {
        content = Content(
            Caller(principal: Principal(.process, zone: .internal), origin: .process), HostedObject(object: object, serviceID: 0), nil)
    }

    /// The context of calls to `object` at `address` on `connection`: that of the call before, as a rule.
    static func shared(
        on connection: Connection, at address: ObjectAddress, to object: LocalObject, for relayed: RelayedCaller?
    ) -> CallContext {
        if let relayed { return CallContext(on: connection, at: address, to: object, caller: relayed.caller) }
        if let last = connection.lastContext as? Content, last.path?.address == address, last.object.object === object.object {
            return CallContext(last)
        }
        let context = CallContext(
            on: connection, at: address, to: object, caller: Caller(principal: connection.principal, origin: connection.origin))
        // Of a service only: an object that came as a value ends with its last user.
        // Not of one that has ended: nothing would let go of it any more.
        if address.object == 1, !connection.isClosed { connection.lastContext = context.content }
        return context
    }

    private init(_ content: Content) { self.content = content }

    /// Runs `body` once, when the connection the call came on has ended, which may be now; a gateway's outlives its callers. Never for
    /// a call within this process.
    public func whenConnectionEnds(_ body: @escaping @Sendable () -> Void) {
        guard let path else { return }
        path.executor.submit { path.connection.value.whenClosed { _ in body() } }
    }
}

extension Caller {
    /// The caller of the call that the current task serves; nil outside of one, and in calls of a typed proxy within this process, which
    /// are plain function calls.
    public static var current: Caller? { CallContext.current?.caller }
}
