import Logging
import NIOCore
import QiWire

/// An object that lives in this process: its metaobject, its members, and the generic members that every qi object has
/// (wire reference §9). Confined to the bus loop.
final class LocalObject: ObjectReceiver {
    /// What a method does.
    enum Method {
        /// Runs on the loop and answers the call itself, now or later.
        case onLoop((_ call: IncomingCall, _ arguments: [QiValue]) -> Void)
        /// User code: runs off the loop, in the worker pool's care.
        case concurrent(@Sendable (_ arguments: [QiValue], _ context: CallContext) async throws -> QiValue)
    }

    let bus: Bus
    let members: MemberTable
    let uid: ObjectUID
    private let methods: [UInt32: Method]
    /// Whether a peer may emit the signals by posting to them (wire reference §14).
    private let takesPostedSignals: Bool
    private var properties: [UInt32: QiValue]
    private(set) var subscriptions = SubscriptionTable()
    private var statistics = ObjectStatistics()

    init(bus: Bus, metaObject: MetaObject, methods: [UInt32: Method], properties: [UInt32: QiValue] = [:], takesPostedSignals: Bool = true) {
        self.bus = bus
        self.takesPostedSignals = takesPostedSignals
        members = MemberTable(metaObject)
        self.methods = methods
        self.properties = properties
        uid = ObjectUID.random()
    }

    var metaObject: MetaObject { members.metaObject }

    // MARK: - Receiving

    func receive(_ call: IncomingCall) {
        if call.isPost, let signal = members.signal(call.address.action) {
            return takesPostedSignals ? emitFromPost(signal, call) : ()
        }
        if call.address.action < WellKnownActions.firstUserAction { return receiveGeneric(call) }
        guard let method = members.method(call.address.action), let body = methods[method.meta.uid] else {
            return call.fail("No such method {\(call.address), id:\(call.header.id)}")
        }
        do {
            var payload = call.payload
            let request = try CallPayload(reading: &payload, flags: call.header.flags, method: method, objects: call.connection.objectCoding)
            run(body, method, request, call)
        } catch {
            call.fail(error.message)
        }
    }

    private func run(_ body: Method, _ method: MemberTable.Method, _ request: CallPayload, _ call: IncomingCall) {
        let measure = statistics.start()
        switch body {
        case .onLoop(let body):
            body(call, request.arguments)
            statistics.finish(method.meta.uid, measure)
        case .concurrent(let body):
            let context = CallContext(call, to: self)
            if call.isPost, !call.connection.beginPost() {
                return bus.logger.debug("post dropped: too many run", metadata: [LogKeys.peer: "\(call.connection.origin)"])
            }
            let execution = MethodExecution()
            call.onCancel = { execution.cancel() }
            let arguments = request.arguments
            bus.enqueue { [self] in
                let outcome = await execution.run(body, arguments, context)
                statistics.finish(method.meta.uid, measure)
                if call.isPost { call.connection.endPost() }
                switch outcome {
                case .success(let value): reply(to: call, value, method, request.returnType)
                case .failure(let text): call.fail(text)
                case .cancelled: call.confirmCancellation()
                }
            }
        }
    }

    /// Answers with a value of any convertible shape, as the method's return type, or as the one the caller asked for.
    func reply(to call: IncomingCall, _ value: QiValue, _ method: MemberTable.Method, _ wanted: Signature? = nil) {
        do {
            let declared = method.returns.type
            let result = try value.converted(from: value.inferredType, to: declared)
            var payload = ByteBuffer()
            if let wanted {
                let converted = try result.converted(from: declared, to: wanted.type)
                try payload.writeQi(
                    .dynamic(QiDynamic(signature: wanted, value: converted)), as: .dynamic, objects: call.connection.objectCoding)
                call.reply(payload, flags: .dynamicPayload)
            } else {
                try payload.writeQi(result, as: declared, objects: call.connection.objectCoding)
                call.reply(payload)
            }
        } catch {
            call.fail("the return value of \(method.meta.name) cannot be sent: \(error.message)")
        }
    }

    func closed(_ connection: Connection) { subscriptions.removeAll(on: connection) }

    func released(_ address: ObjectAddress, on connection: Connection) {
        subscriptions.removeAll(on: connection, address: address)
    }

    // MARK: - Generic members

    private func receiveGeneric(_ call: IncomingCall) {
        var payload = call.payload
        let action = call.address.action
        do {
            guard let method = members.method(action) else {
                return call.fail("No such method {\(call.address), id:\(call.header.id)}")
            }
            let request = try CallPayload(reading: &payload, flags: call.header.flags, method: method, objects: call.connection.objectCoding)
            let result = try generic(action, request.arguments, call)
            reply(to: call, result, method, request.returnType)
            if action == WellKnownActions.terminate { call.connection.release(call.address.target) }
        } catch let error as WireError {
            call.fail(error.message)
        } catch {
            call.fail((error as? QiError)?.message ?? "\(error)")
        }
    }

    private func generic(_ action: UInt32, _ arguments: [QiValue], _ call: IncomingCall) throws -> QiValue {
        switch action {
        case WellKnownActions.registerEvent, WellKnownActions.registerEventWithSignature:
            return try subscribe(arguments, call)
        case WellKnownActions.unregisterEvent:
            let link = arguments[2].asLink
            guard link == .max || subscriptions.remove(link: link, address: call.address.target, on: call.connection) != nil else {
                throw QiError(.notFound, "Unregister request failed for \(link) \(call.address.object)")
            }
            return .void
        case WellKnownActions.metaObject: return metaObject.qiValue
        case WellKnownActions.terminate: return .void
        case WellKnownActions.property: return .dynamic(try property(arguments[0]))
        case WellKnownActions.setProperty:
            try setProperty(arguments[0], arguments[1])
            return .void
        case WellKnownActions.properties:
            return .list(metaObject.properties.map { .string($0.name) })
        default: return try statistics.perform(action, arguments)
        }
    }

    private func subscribe(_ arguments: [QiValue], _ call: IncomingCall) throws -> QiValue {
        guard let signalID = arguments[1].asUInt32, let signal = members.signal(signalID) else {
            throw QiError(.notFound, "No such signal")
        }
        guard subscriptions.count(on: call.connection) < call.connection.limits.maximumSubscriptions else {
            throw QiError(.limit, "too many subscriptions on this object: end some first")
        }
        var wanted: Signature?
        if arguments.count > 3, let text = arguments[3].asString, text != signal.signature.text {
            wanted = try Signature(text)
        }
        subscriptions.add(
            SubscriptionTable.Subscriber(
                connection: call.connection, address: call.address.target, link: arguments[2].asLink, wanted: wanted),
            to: signalID)
        return .uint64(arguments[2].asLink)
    }

    // MARK: - Properties

    private func propertyID(_ key: QiValue) throws(QiError) -> UInt32 {
        let key = key.unwrapped
        if let name = key.asString {
            guard let found = metaObject.property(named: name) else { throw QiError(.notFound, "property `\(name)` was not found") }
            return found.uid
        }
        guard let id = key.asUInt32 else { throw QiError(.invalid, "Expected int or string for property index") }
        guard members.property(id) != nil else { throw QiError(.notFound, "property: Id is not id of a property") }
        return id
    }

    func property(_ key: QiValue) throws -> QiDynamic {
        let id = try propertyID(key)
        guard let signature = members.property(id)?.signature else { return QiDynamic(.void) }
        let value = properties[id] ?? .void
        // A property of signature `m` reads as the dynamic itself, not as a dynamic in one (reference §16).
        if case .dynamic(let dynamic) = value, signature.type == .dynamic { return dynamic }
        return QiDynamic(signature: signature, value: value)
    }

    /// Writes a property, converted to its type, and tells its subscribers, also when the value is the same (reference §16).
    func setProperty(_ key: QiValue, _ value: QiValue) throws {
        let id = try propertyID(key)
        guard let signature = members.property(id)?.signature else { return }
        let converted = try value.converted(from: value.inferredType, to: signature.type)
        properties[id] = converted
        try emit(id, [converted])
    }

    // MARK: - Signals

    /// Emits a signal with arguments of its types.
    func emit(_ signal: UInt32, _ arguments: [QiValue]) throws {
        guard let signature = members.signal(signal)?.signature else {
            throw QiError(.notFound, "No such signal")
        }
        guard !subscriptions.isEmpty(signal) else { return }
        var payload = ByteBuffer()
        try payload.writeQiArguments(arguments, as: signature)
        subscriptions.emit(signal, payload, flags: [], signature: signature)
    }

    /// A Post to a signal id asks the owner to emit it (reference §14).
    private func emitFromPost(_ signal: MemberTable.Signal, _ call: IncomingCall) {
        var payload = call.payload
        let signature = signal.signature
        do {
            let arguments: [QiValue]
            if call.header.flags.contains(.dynamicPayload) {
                let given = try payload.readQiArguments(.dynamic, objects: call.connection.objectCoding)
                let converted = try QiValue.tuple(given.values).converted(from: given.tupleType, to: signature.type)
                arguments = try QiArguments(converted, as: signature.type).values
            } else {
                arguments = try payload.readQiArguments(signature, objects: call.connection.objectCoding).values
            }
            if members.property(signal.meta.uid) != nil, let value = arguments.first { properties[signal.meta.uid] = value }
            try emit(signal.meta.uid, arguments)
        } catch {
            // A Post has no answer, not even on failure (reference §3).
            bus.logger.debug("posted signal not emitted", metadata: [LogKeys.error: "\(error)"])
        }
    }

    func addSink(to signal: UInt32, _ sink: @escaping SubscriptionTable.LocalSink) -> UInt64 {
        subscriptions.add(to: signal, sink)
    }

    func removeSink(_ token: UInt64, from signal: UInt32) { subscriptions.remove(token: token, from: signal) }
}

extension QiValue {
    /// A link id: 64 unsigned bits.
    var asLink: UInt64 {
        if case .uint64(let link) = unwrapped { return link }
        return UInt64(bitPattern: asInt ?? 0)
    }
}

extension ObjectUID {
    /// A fresh identity; any unique 20 bytes do (reference §17).
    static func random() -> ObjectUID {
        var generator = SystemRandomNumberGenerator()
        return ObjectUID(bytes: (0..<Self.length).map { _ in UInt8.random(in: 0...255, using: &generator) }) ?? .zero
    }
}
