import NIOCore
public import QiWire

/// An object as a program uses it, wherever it lives: calls by name, posts, properties and signals. `Sendable`; usable from any
/// task. As a value of type `o` it may be an argument or a result.
///
/// Every call has a deadline, 10 s unless said; cancelling the task cancels the call. Within this process both cancel the method's
/// task, and the call ends when the method does; one that is direct runs in the calling task itself.
public struct ObjectProxy: Sendable {
    let handle: ProxyHandle

    /// What the object offers.
    public var metaObject: MetaObject { handle.metaObject }
    /// What errors call it.
    public var name: String { handle.name }
    /// The object's identity, the same whichever way it is reached (wire reference §17); nil when its connection tells none.
    public var uid: ObjectUID? { handle.uid }

    /// - Parameter whenDropped: runs when nobody holds this proxy any more, on any thread.
    init(loop: BusLoop, object: RemoteObject, uid: ObjectUID? = nil, whenDropped: @escaping @Sendable () -> Void = {}) {
        if !object.isMain { object.addHolder() }
        handle = ProxyHandle(
            .remote(RemotePath(object, on: loop)), members: object.members, name: object.name, uid: uid,
            isValue: !object.isMain, whenDropped: whenDropped)
    }

    /// A proxy for an object of this process.
    init(_ object: DynamicObject, name: String = "an object of this process") {
        handle = ProxyHandle(.local(object), members: object.members, name: name, uid: object.uid, isValue: false)
    }

    /// An object made of `builder`, to be passed to others as a value.
    public init(_ builder: ObjectBuilder) { self.init(builder.makeObject()) }

    init(_ handle: ProxyHandle) { self.handle = handle }

    /// The object as a value within this process.
    var reference: ObjectReference {
        ObjectReference(metaObject: metaObject, serviceID: 0, objectID: .max, uid: uid, attachment: handle)
    }
}

extension HostedObject {
    /// The object as callers of this process use it, and to be passed to others as a value.
    public var proxy: ObjectProxy { ObjectProxy(object) }
}

extension ProxyHandle {
    /// A proxy for an object that came as a value on `connection`. On the loop.
    convenience init(value reference: ObjectReference, on connection: Connection, name: String) throws(QiError) {
        guard !reference.isNull else { throw QiError(.notFound, "\(name) is none (a null reference)") }
        guard !connection.isClosed, let loop = connection.bus.loop else {
            throw QiError(.disconnected, "\(name): its connection is closed")
        }
        let object = RemoteObject(
            bus: connection.bus, name: name, connection: connection, address: reference.address,
            metaObject: reference.metaObject ?? .empty, isMain: false)
        object.addHolder()
        self.init(
            .remote(RemotePath(object, on: loop)), members: object.members, name: name, uid: reference.uid,
            isValue: true)
    }
}

extension ObjectProxy: QiConvertible {
    /// `o`.
    public static var qiType: QiType { .object }

    /// The object within this process; an address on a connection is given to it when it is sent.
    public var qiValue: QiValue { .object(reference) }

    /// Takes an object that came as an argument, a result or in an event.
    ///
    /// - Throws: `.conversion` for anything else, a null reference included.
    public init(qiValue: QiValue) throws(WireError) {
        guard case .object(let reference) = qiValue.unwrapped else { throw WireError(.conversion, "the value is no object") }
        guard let handle = reference.attachment as? ProxyHandle else {
            throw WireError(.conversion, "the reference leads to no object")
        }
        self.init(handle)
    }
}

extension ObjectProxy: Equatable {
    /// Whether both are the same object, as far as is known.
    public static func == (left: ObjectProxy, right: ObjectProxy) -> Bool {
        if left.handle === right.handle { return true }
        guard let uid = left.uid else { return false }
        return uid == right.uid
    }
}
