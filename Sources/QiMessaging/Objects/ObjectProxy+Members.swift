import NIOCore
public import QiWire

extension ObjectProxy {
    // MARK: - Properties

    /// Reads a property; the value is a `.dynamic` with its exact type.
    public nonisolated(nonsending) func property(
        _ property: String, deadline: Duration = .seconds(10)
    ) async throws(QiError) -> QiDynamic {
        guard metaObject.property(named: property) != nil else { throw QiError(.notFound, "\(name) has no property \"\(property)\"") }
        let value = try await call("property", arguments: [.string(property)], deadline: deadline)
        guard case .dynamic(let dynamic) = value else { throw QiError(.invalid, "\(name).\(property) has no readable value") }
        return dynamic
    }

    /// Writes a property; the owner converts the value to its type.
    public nonisolated(nonsending) func setProperty(
        _ property: String, _ value: QiValue, deadline: Duration = .seconds(10)
    ) async throws(QiError) {
        guard metaObject.property(named: property) != nil else { throw QiError(.notFound, "\(name) has no property \"\(property)\"") }
        _ = try await call("setProperty", arguments: [.string(property), .dynamic(QiDynamic(value))], deadline: deadline)
    }

    // MARK: - Signals

    private func signal(named name: String) throws(QiError) -> MemberTable.Signal {
        guard let meta = metaObject.signal(named: name) else { throw QiError(.notFound, "\(self.name) has no signal \"\(name)\"") }
        guard let signal = handle.members.signal(meta.uid) else {
            throw QiError(.invalid, "the signature of \(self.name).\(name) cannot be read: \(meta.signature)")
        }
        return signal
    }

    /// Subscribes to a signal or property. Returns when the owner has confirmed, so that no later emission is missed.
    ///
    /// - Parameter buffer: how many events may wait for the reader; the oldest are dropped beyond, and counted.
    public func events(of signal: String, buffer: Int = 256) async throws(QiError) -> SignalEvents {
        try await events(of: signal, buffering: .newest(buffer))
    }

    /// Subscribes to a signal or property. As ``events(of:buffer:)``.
    ///
    /// - Parameter buffering: which events may be left out, for a reader that is busy, and with ``EventBuffering/latest`` also on a way
    ///   that is slower than they come.
    public func events(of signal: String, buffering: EventBuffering) async throws(QiError) -> SignalEvents {
        let found = try self.signal(named: signal)
        let queue = EventQueue<[QiValue]>(buffering)
        let link = try await SignalLink.connect(self, found, isLatest: buffering == .latest) { queue.push($0) } leftOut: {
            queue.leftOut($0)
        } ended: {
            queue.finish($0)
        }
        return SignalEvents(queue, link)
    }

    /// Calls `handler` with the arguments of every emission until the link is disconnected, libqi's `connect`. The handler runs
    /// wherever the event arrives, one event after the other, and must not block.
    ///
    /// - Throws: as ``events(of:buffer:)``.
    public func connect(_ signal: String, _ handler: @escaping @Sendable ([QiValue]) -> Void) async throws(QiError) -> SignalLink {
        try await SignalLink.connect(self, try self.signal(named: signal), handler, leftOut: { _ in }) { _ in }
    }

    /// Asks the owner to emit a signal (wire reference §14).
    public func emit(_ signal: String, arguments: [QiValue]) throws(QiError) {
        let found = try self.signal(named: signal)
        let values = try found.fitting(arguments)
        switch handle.target {
        case .local(let object):
            do { try handle.requireLocal(object).emitPosted(found.meta.uid, values) } catch {
                throw error as? QiError ?? QiError(.invalid, error.callText)
            }
        case .remote:
            let value: QiValue = found.signature.type == .dynamic ? .dynamic(QiDynamic(.tuple(values))) : .tuple(values)
            postSignal(found.meta.uid, .values(value, found.signature.type, []))
        }
    }

    // MARK: - Objects

    /// A proxy for an object that a call to this one returned. It is released when no copy of the proxy is left.
    public func object(_ reference: ObjectReference) async throws(QiError) -> ObjectProxy {
        if let handle = reference.attachment as? ProxyHandle { return ObjectProxy(handle) }
        guard case .remote(let path) = handle.target else {
            throw QiError(.notFound, "the reference leads to no object of this process")
        }
        let (loop, target) = (path.loop, path.object)
        let label = "an object of \(name)"
        return try await loop.run { (_) async throws(QiError) in
            guard let connection = target.value.connection else { throw target.value.lostError }
            return ObjectProxy(try ProxyHandle(value: reference, on: connection, name: label))
        }
    }

    /// Hosts an object on this one's connection, to be passed to a method of this one. It lives until the peer releases it or the
    /// connection ends. Passing an ``ObjectProxy`` made of the builder does the same, once for each time it is passed.
    ///
    /// - Returns: the reference to pass, and the object itself for its signals and properties.
    public func host(_ object: ObjectBuilder) async throws(QiError) -> (reference: ObjectReference, object: HostedObject) {
        guard case .remote(let path) = handle.target else {
            let made = object.makeObject()
            return (ObjectProxy(made).reference, HostedObject(object: made, serviceID: 0))
        }
        let (loop, target) = (path.loop, path.object)
        return try await loop.run { (_) async throws(QiError) in
            guard let connection = target.value.connection else { throw target.value.lostError }
            let address = target.value.address
            return try connection.offer(object, inService: address.service, isPassed: !address.isPassed)
        }
    }
}
