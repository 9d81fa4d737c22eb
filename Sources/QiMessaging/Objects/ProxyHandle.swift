import Logging
import NIOCore
import QiWire
import Synchronization

/// Where an object of another process is: its loop, and what stands for it there. One reference, for every call hands it on.
final class RemotePath: Sendable {
    let loop: BusLoop
    let object: NIOLoopBound<RemoteObject>

    /// On the loop.
    init(_ object: RemoteObject, on loop: BusLoop) {
        self.loop = loop
        self.object = NIOLoopBound(object, eventLoop: loop.eventLoop)
    }
}

/// What every copy of an ``ObjectProxy`` shares: the way to the object, and its end.
final class ProxyHandle: ObjectAttachment, Sendable {
    enum Target: Sendable {
        /// On the far side of a connection.
        case remote(RemotePath)
        /// In this process.
        case local(DynamicObject)
    }

    let target: Target
    let members: MemberTable
    let name: String
    let uid: ObjectUID?
    private let isValue: Bool
    private let whenDropped: @Sendable () -> Void
    private struct End {
        /// Why an object of this process is not to be used any more.
        var error: QiError?
        var listeners: [UInt64: @Sendable (QiError) -> Void] = [:]
        var nextListener: UInt64 = 1
    }

    private let end = Mutex(End())
    private let hasEnded = Atomic(false)

    init(
        _ target: Target, members: MemberTable, name: String, uid: ObjectUID?, isValue: Bool,
        whenDropped: @escaping @Sendable () -> Void = {}
    ) {
        self.target = target
        self.members = members
        self.name = name
        self.uid = uid
        self.isValue = isValue
        self.whenDropped = whenDropped
    }

    deinit {
        whenDropped()
        guard isValue, case .remote(let path) = target else { return }
        let (loop, object) = (path.loop, path.object)
        // At once where that is possible: whoever lets go and then calls finds it released.
        if loop.eventLoop.inEventLoop { object.value.removeHolder() } else { loop.submit { _ in object.value.removeHolder() } }
    }

    /// The object of this process is not to be used any more, as when its service was unregistered.
    func endLocal(_ error: QiError) {
        let listeners = end.withLock { end in
            end.error = error
            defer { end.listeners = [:] }
            return end.listeners.values
        }
        hasEnded.store(true, ordering: .releasing)
        for listener in listeners { listener(error) }
    }

    /// Calls `ended` when the object of this process is not to be used any more.
    ///
    /// - Throws: when it is so already.
    func whenEnded(_ ended: @escaping @Sendable (QiError) -> Void) throws(QiError) -> UInt64 {
        let result: Result<UInt64, QiError> = end.withLock { end in
            if let error = end.error { return .failure(error) }
            defer { end.nextListener += 1 }
            end.listeners[end.nextListener] = ended
            return .success(end.nextListener)
        }
        return try result.get()
    }

    /// For tests.
    var listenerCount: Int { end.withLock { $0.listeners.count } }

    func stopListening(_ token: UInt64) { end.withLock { $0.listeners[token] = nil } }

    /// Whether a typed call may go straight to the implementation.
    var isDirect: Bool {
        guard case .local(let object) = target else { return false }
        return !object.isObserved && !hasEnded.load(ordering: .relaxed)
    }

    /// The object of this process.
    ///
    /// - Throws: why it is not to be used any more.
    func requireLocal(_ object: DynamicObject) throws(QiError) -> DynamicObject {
        if hasEnded.load(ordering: .acquiring), let error = end.withLock({ $0.error }) { throw error }
        return object
    }

    var metaObject: MetaObject { members.metaObject }

    /// What calls of peers on `bus` are handed to when the object is sent to them.
    ///
    /// - Throws: `.unsupported` for an object that another session reaches.
    func receiver(on bus: Bus) throws(QiError) -> any ObjectReceiver {
        switch target {
        case .local(let object): return LocalObject(bus: bus, object: try requireLocal(object))
        case .remote(let path):
            let object = path.object
            guard bus.eventLoop === object.eventLoop, object.value.bus === bus else {
                throw QiError(
                    .unsupported, "\(name) belongs to another session: objects can be passed on within their own session only",
                    hint: "connect once, and look the object up through that session")
            }
            object.value.addHolder()
            return object.value
        }
    }
}

extension ProxyHandle {
    /// Logs what a call that cannot throw could not do.
    func log(_ message: Logger.Message, _ error: any Error) {
        guard case .remote(let path) = target else { return }
        path.loop.logger.warning(message, metadata: [LogKeys.service: "\(name)", LogKeys.error: "\(error)"])
    }
}
