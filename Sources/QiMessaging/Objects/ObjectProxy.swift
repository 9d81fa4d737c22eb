import NIOCore
public import QiWire
import Synchronization

/// A remote object as a program uses it: calls by name, posts, properties and signals. `Sendable`; usable from any task.
///
/// Every call has a deadline, 10 s unless said; cancelling the task cancels the remote call.
public final class ObjectProxy: Sendable {
    let loop: BusLoop
    let target: NIOLoopBound<RemoteObject>
    /// What the object offers.
    public let metaObject: MetaObject
    /// What errors call it.
    public let name: String
    private let isMain: Bool
    private let whenDropped: @Sendable () -> Void

    /// - Parameter whenDropped: runs when nobody holds this proxy any more, on any thread.
    init(loop: BusLoop, object: RemoteObject, whenDropped: @escaping @Sendable () -> Void = {}) {
        self.whenDropped = whenDropped
        self.loop = loop
        target = NIOLoopBound(object, eventLoop: loop.eventLoop)
        metaObject = object.metaObject
        name = object.name
        isMain = object.isMain
    }

    /// A proxy for an object that came as a value on `connection`. On the loop.
    convenience init(value reference: ObjectReference, on connection: Connection, name: String) throws(QiError) {
        guard !reference.isNull else { throw QiError(.notFound, "\(name) is none (a null reference)") }
        guard !connection.isClosed, let loop = connection.bus.loop else {
            throw QiError(.disconnected, "\(name): its connection is closed")
        }
        let object = RemoteObject(
            bus: connection.bus, name: name, connection: connection, address: reference.address,
            metaObject: reference.metaObject ?? .empty, isMain: false)
        self.init(loop: loop, object: object)
    }

    deinit {
        whenDropped()
        guard !isMain else { return }
        let target = self.target
        loop.submit { _ in target.value.release() }
    }

    // MARK: - Calls

    /// Calls a method by name (or full name, `name::(signature)`) and converts the result.
    public func call<Result: QiConvertible>(
        _ method: String, _ arguments: any QiConvertible..., deadline: Duration = .seconds(10)
    ) async throws(QiError) -> Result {
        let value = try await call(method, arguments: arguments.map(\.qiValue), deadline: deadline)
        do {
            return try Result(qiValue: value)
        } catch {
            throw QiError(.invalid, "the result of \(name).\(method) is no \(Result.self): \(error.message)")
        }
    }

    /// Calls a method by name with dynamic values.
    ///
    /// - Returns: the result, of the method's return type.
    /// - Throws: `.remote` with the method's own error text, `.notFound` for no such method, `.invalid` for arguments that fit no
    ///   overload, `.timedOut`, `.disconnected`, `.cancelled`.
    public func call(
        _ method: String, arguments: [QiValue], deadline: Duration = .seconds(10)
    ) async throws(QiError) -> QiValue {
        let found = try resolve(method, arguments)
        let request = try encode(arguments, for: found)
        let label = "\(name).\(found.name)"
        let (answer, coding) = await send(found.uid, request.payload, request.flags, deadline)
        guard case .reply(let payload, let flags) = answer else {
            throw Self.describe(answer.failure(of: label), label, deadline)
        }
        do {
            return try payload.value(of: found.parsedReturn().type, flags: flags, objects: coding)
        } catch {
            throw QiError(.invalid, "the result of \(label) cannot be read: \(error.message)")
        }
    }

    /// Calls without an answer: nothing tells whether it worked.
    public func post(_ method: String, arguments: [QiValue]) throws(QiError) {
        let found = try resolve(method, arguments)
        let request = try encode(arguments, for: found)
        let target = self.target
        loop.submit { _ in target.value.post(found.uid, request.payload, flags: request.flags) }
    }

    private static func describe(_ error: QiError?, _ label: String, _ deadline: Duration) -> QiError {
        var error = error ?? QiError(.invalid, "\(label) was not answered")
        if error.code == .timedOut { error.message = "timed out after \(deadline) waiting for \(label)" }
        if error.code == .disconnected || error.code == .offline { error.message = "\(label): \(error.message)" }
        return error
    }

    private func resolve(_ method: String, _ arguments: [QiValue]) throws(QiError) -> MetaMethod {
        do {
            return try OverloadResolution.resolve(method, arguments: arguments, in: metaObject)
        } catch {
            let known = metaObject.methods.contains { $0.name == method }
            throw QiError(known ? .invalid : .notFound, "\(name).\(method): \(error.message)")
        }
    }

    /// Arguments as the method declares them; as one dynamic when they cannot be converted here, for the callee to try.
    private func encode(
        _ arguments: [QiValue], for method: MetaMethod
    ) throws(QiError) -> (payload: ByteBuffer, flags: MessageFlags) {
        var payload = ByteBuffer()
        do throws(WireError) {
            let parameters = try method.parsedParameters()
            let tuple = QiValue.tuple(arguments)
            if parameters.type == .dynamic {
                try payload.writeQiArguments(arguments, as: parameters)
            } else if let converted = try? tuple.converted(from: tuple.inferredType, to: parameters.type) {
                try payload.writeQi(converted, as: parameters.type)
            } else {
                try payload.writeQi(.dynamic(tuple), as: .dynamic)
                return (payload, .dynamicPayload)
            }
            return (payload, [])
        } catch {
            throw QiError(.invalid, "the arguments of \(name).\(method.name) cannot be sent: \(error.message)")
        }
    }

    /// The call in flight: which one to give up when the task is cancelled.
    private final class Flight: Sendable {
        private struct State {
            var call: (connection: UInt64, id: UInt32)?
            var isCancelled = false
        }
        private let state = Mutex(State())

        func started(_ connection: UInt64, _ id: UInt32) -> Bool {
            state.withLock {
                $0.call = (connection, id)
                return !$0.isCancelled
            }
        }

        func cancel() -> (connection: UInt64, id: UInt32)? {
            state.withLock {
                $0.isCancelled = true
                return $0.call
            }
        }
    }

    private func send(
        _ action: UInt32, _ payload: ByteBuffer, _ flags: MessageFlags, _ deadline: Duration
    ) async -> (CallAnswer, ObjectCoding) {
        await loop.start()
        let flight = Flight()
        let target = self.target
        let end = NIODeadline.now() + TimeAmount(deadline)
        return await withTaskCancellationHandler {
            await withUnsafeContinuation { (continuation: UnsafeContinuation<(CallAnswer, ObjectCoding), Never>) in
                loop.submit { bus in
                    let coding = target.value.connection?.objectCoding ?? .standard
                    let sent = target.value.call(action, payload, flags: flags, deadline: end) { answer in
                        continuation.resume(returning: (answer, coding))
                    }
                    if let sent, !flight.started(sent.connection.id, sent.id) { Self.abandon(sent.connection.id, sent.id, bus) }
                }
            }
        } onCancel: {
            loop.submit { bus in
                if let call = flight.cancel() { Self.abandon(call.connection, call.id, bus) }
            }
        }
    }

    private static func abandon(_ connection: UInt64, _ id: UInt32, _ bus: Bus) {
        bus.connection(connection)?.abandon(id, QiError(.cancelled, "the call was cancelled"))
    }

    // MARK: - Properties

    /// Reads a property; the value is a `.dynamic` with its exact type.
    public func property(_ property: String, deadline: Duration = .seconds(10)) async throws(QiError) -> QiDynamic {
        guard metaObject.property(named: property) != nil else { throw QiError(.notFound, "\(name) has no property \"\(property)\"") }
        let value = try await call("property", arguments: [.string(property)], deadline: deadline)
        guard case .dynamic(let dynamic) = value else { throw QiError(.invalid, "\(name).\(property) has no readable value") }
        return dynamic
    }

    /// Writes a property; the owner converts the value to its type.
    public func setProperty(_ property: String, _ value: QiValue, deadline: Duration = .seconds(10)) async throws(QiError) {
        guard metaObject.property(named: property) != nil else { throw QiError(.notFound, "\(name) has no property \"\(property)\"") }
        _ = try await call("setProperty", arguments: [.string(property), .dynamic(QiDynamic(value))], deadline: deadline)
    }

    // MARK: - Signals

    /// Subscribes to a signal or property. Returns when the owner has confirmed, so that no later emission is missed.
    ///
    /// - Parameter buffer: how many events may wait for the reader; the oldest are dropped beyond, and counted.
    public func events(of signal: String, buffer: Int = 256) async throws(QiError) -> SignalEvents {
        guard let meta = metaObject.signal(named: signal) else { throw QiError(.notFound, "\(name) has no signal \"\(signal)\"") }
        let signature: Signature
        do { signature = try Signature(meta.signature) } catch { throw QiError(.invalid, error.message) }
        let events = SignalEvents(of: self, signal: meta.uid, signature: signature, capacity: max(1, buffer))
        try await events.subscribe()
        return events
    }

    /// Asks the owner to emit a signal (wire reference §14).
    public func emit(_ signal: String, arguments: [QiValue]) throws(QiError) {
        guard let meta = metaObject.signal(named: signal) else { throw QiError(.notFound, "\(name) has no signal \"\(signal)\"") }
        var payload = ByteBuffer()
        do throws(WireError) {
            let signature = try Signature(meta.signature)
            let tuple = QiValue.tuple(arguments)
            let values = signature.type == .dynamic
                ? arguments : try QiArguments(tuple.converted(from: tuple.inferredType, to: signature.type), as: signature.type).values
            try payload.writeQiArguments(values, as: signature)
        } catch {
            throw QiError(.invalid, "the arguments do not fit \(name).\(signal)\(meta.signature): \(error.message)")
        }
        let encoded = payload
        let target = self.target
        loop.submit { _ in target.value.post(meta.uid, encoded) }
    }

    // MARK: - Objects

    /// A proxy for an object that a call to this one returned. It is released when the proxy goes away.
    public func object(_ reference: ObjectReference) async throws(QiError) -> ObjectProxy {
        let target = self.target
        let loop = self.loop
        let label = "an object of \(name)"
        return try await loop.run { (_) async throws(QiError) in
            guard let connection = target.value.connection else { throw target.value.lostError }
            return try ObjectProxy(value: reference, on: connection, name: label)
        }
    }

    /// Hosts an object on this one's connection, to be passed to a method of this one. It lives until the peer releases it or the
    /// connection ends.
    ///
    /// - Returns: the reference to pass, and the object itself for its signals and properties.
    public func host(_ object: ObjectBuilder) async throws(QiError) -> (reference: ObjectReference, object: HostedObject) {
        let target = self.target
        return try await loop.run { (_) async throws(QiError) in
            guard let connection = target.value.connection else { throw target.value.lostError }
            let address = target.value.address
            return try connection.offer(object, inService: address.service, isPassed: !address.isPassed)
        }
    }
}
