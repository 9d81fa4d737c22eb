import Logging
import NIOCore
import QiWire

/// A ``DynamicObject`` as the connections of one event loop reach it: takes their calls, holds their subscriptions, and serves
/// the generic members that every qi object has (wire reference §9). Confined to the bus loop.
final class LocalObject: ObjectReceiver, EmissionTarget {
    /// A method that answers the call itself, now or later: those of the directory, which work on the loop's own state.
    typealias LoopMethod = (_ call: IncomingCall, _ arguments: [QiValue]) -> Void

    let bus: Bus
    let object: DynamicObject
    private let loopMethods: [UInt32: LoopMethod]
    let subscriptions = SubscriptionTable()
    private lazy var emissions = EmissionQueue(self, on: bus.executor, logger: bus.logger)
    private var isAttached = false

    init(bus: Bus, object: DynamicObject, loopMethods: [UInt32: LoopMethod] = [:]) {
        self.bus = bus
        self.object = object
        self.loopMethods = loopMethods
    }

    /// An object whose methods all answer on the loop.
    convenience init(bus: Bus, members: MemberTable, methods: [UInt32: LoopMethod], takesPostedSignals: Bool = true) {
        self.init(
            bus: bus, object: DynamicObject(members: members, takesPostedSignals: takesPostedSignals), loopMethods: methods)
    }

    deinit { if isAttached { object.detach(emissions) } }

    var members: MemberTable { object.members }
    var metaObject: MetaObject { object.metaObject }
    var uid: ObjectUID { object.uid }

    // MARK: - Receiving

    func serveAtOnce(_ message: Message, on connection: Connection) -> Bool {
        guard let body = object.methods[message.address.action]?.immediate, !object.isObserved else { return false }
        connection.answer(message, immediately: body)
        return true
    }

    func receive(_ call: IncomingCall) {
        let action = call.address.action
        if call.isPost, let signal = members.signal(action) {
            return object.takesPostedSignals ? emitFromPost(signal, call) : ()
        }
        if let method = object.methods[action] { return run(method, call) }
        if action < WellKnownActions.firstUserAction { return receiveGeneric(call) }
        guard let body = loopMethods[action], let method = members.method(action) else {
            return call.fail("No such method {\(call.address), id:\(call.header.id)}")
        }
        do {
            let request = try CallPayload(of: call, method)
            let observation = object.begin(action, request.arguments, onThread: true)
            body(call, request.arguments)
            object.end(action, observation, .result, .void)
        } catch {
            call.fail(error.message)
        }
    }

    /// Answers with a value of any convertible shape, as the method's return type, or as the one the caller asked for.
    func reply(to call: IncomingCall, _ value: QiValue, _ method: MemberTable.Method, _ wanted: Signature? = nil) {
        call.reply(with: value, of: method, as: wanted)
    }

    func closed(_ connection: Connection) {
        subscriptions.removeAll(on: connection)
        subscriptionsChanged()
    }

    func released(_ address: ObjectAddress, on connection: Connection) {
        subscriptions.removeAll(on: connection, address: address)
        subscriptionsChanged()
    }

    var memberTable: MemberTable? { members }

    func isSubscribed(_ link: UInt64, to signal: UInt32, at address: ObjectAddress, on connection: Connection) -> Bool {
        subscriptions.known(link: link, address: address, on: connection, of: signal) != nil
    }

    func endSubscriptions(on connection: Connection, at address: ObjectAddress, except mayStay: (String) -> Bool) {
        subscriptions.removeAll(on: connection, address: address) { members.signal($0).map { mayStay($0.meta.name) } ?? false }
        subscriptionsChanged()
    }

    // MARK: - Methods

    private func run(_ method: ObjectMethod, _ call: IncomingCall) {
        do {
            var frame = try self.frame(for: method, call)
            let uid = method.declared.meta.uid
            if object.isObserved {
                let arguments = try CallPayload(of: call, method.declared).arguments
                call.observation = object.begin(uid, arguments, onThread: method.callType == .direct)
            }
            if case .immediate(let body) = method.body {
                do {
                    try body(&frame)
                    finish(call, method, &frame)
                } catch {
                    fail(call, method, error)
                }
                return
            }
            // A Post has no answer that could bound how many run at a time: this does.
            if call.isPost, !call.connection.beginPost(call.payload.readableBytes) {
                return bus.logger.debug("post dropped: too many run", metadata: [LogKeys.peer: "\(call.connection.origin)"])
            }
            let execution = MethodExecution(call: call, object: self, method: method, frame: consume frame)
            if method.callType == .direct { bus.pool.enqueue(.method(execution)) } else { bus.offLoop.run(execution) }
        } catch {
            call.fail(error.callText)
        }
    }

    /// The arguments as the method's body takes them. Those that may hold objects, and those of another shape than declared, become
    /// values; all others stay bytes.
    private func frame(for method: ObjectMethod, _ call: IncomingCall) throws -> MethodCall {
        let isPlain = call.header.flags.isEmpty && !method.takesObjects
        let givesValue = method.givesObjects || call.header.flags.contains(.returnType)
        if isPlain, !method.isDynamic {
            return MethodCall(bytes: call.payload, result: bus.takeBuffer(), givesValue: givesValue)
        }
        let request = try request(of: call, method.declared)
        call.wantedReturn = request.returnType
        var arguments = request.arguments
        if method.takesObjects {
            // All at once: when one cannot be taken, none is.
            arguments = try call.connection.adopting(.tuple(arguments), named: "an object of the caller").asTuple ?? []
        }
        return MethodCall(values: arguments, result: bus.takeBuffer(), givesValue: givesValue || method.isDynamic)
    }

    /// The arguments of a call. Objects in those that do not fit are let go of.
    private func request(of call: IncomingCall, _ method: MemberTable.Method) throws(WireError) -> CallPayload {
        do throws(WireError) {
            return try CallPayload(of: call, method)
        } catch {
            call.releaseArguments(of: members)
            throw error
        }
    }

    /// Answers with what the method gave, and takes the buffer of that back.
    func finish(_ call: IncomingCall, _ method: ObjectMethod, _ frame: inout MethodCall) {
        if call.observation != nil {
            object.end(method.declared.meta.uid, call.observation, .result, frame.value(of: method.declared))
        }
        if frame.givesValue {
            call.reply(with: frame.resultValue ?? .void, of: method.declared, as: call.wantedReturn)
        } else {
            call.reply(frame.result, tail: frame.tail)
        }
        bus.takeBack(&frame.result)
    }

    /// Answers with what the method threw.
    func fail(_ call: IncomingCall, _ method: ObjectMethod, _ error: any Error) {
        let text = error.callText
        object.end(method.declared.meta.uid, call.observation, .error, .string(text))
        call.fail(text)
    }

    // MARK: - Generic members

    private func receiveGeneric(_ call: IncomingCall) {
        let action = call.address.action
        // Every user of the object begins with this one.
        if action == WellKnownActions.metaObject, call.header.flags.isEmpty, call.payload.readableBytes >= 4, !object.isObserved {
            return call.reply(object.metaObjectBytes)
        }
        do {
            guard let method = members.method(action) else {
                return call.fail("No such method {\(call.address), id:\(call.header.id)}")
            }
            let request = try request(of: call, method)
            let observation = object.begin(action, request.arguments, onThread: true)
            let result = try generic(action, request.arguments, call)
            object.end(action, observation, .result, result)
            call.reply(with: result, of: method, as: request.returnType)
            if action == WellKnownActions.terminate { call.connection.release(call.address.target) }
        } catch {
            call.fail(error.callText)
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
            subscriptionsChanged()
            return .void
        case WellKnownActions.setProperty:
            let value = try call.connection.adopting(arguments[1], named: "an object of the caller")
            return try object.generic(action, [arguments[0], value])
        default: return try object.generic(action, arguments)
        }
    }

    private func subscribe(_ arguments: [QiValue], _ call: IncomingCall) throws -> QiValue {
        guard let signalID = arguments[1].asUInt32, let signal = members.signal(signalID) else {
            throw QiError(.notFound, "No such signal")
        }
        let (link, isLatest) = (arguments[2].asLink, call.header.flags.contains(.latest))
        if subscriptions.renew(link: link, address: call.address.target, on: call.connection, of: signalID, isLatest: isLatest) != nil {
            return .uint64(link)
        }
        try call.connection.checkSubscriptions()
        var wanted: Signature?
        if arguments.count > 3, let text = arguments[3].asString, text != signal.signature.text {
            wanted = try Signature(text)
        }
        subscriptions.add(
            SubscriptionTable.Subscriber(
                connection: call.connection, address: call.address.target, link: link, wanted: wanted, ticket: call.subscription,
                isLatest: isLatest),
            to: signalID)
        subscriptionsChanged()
        return .uint64(link)
    }

    // MARK: - Signals

    private func subscriptionsChanged() {
        if !isAttached {
            guard !subscriptions.signals.isEmpty else { return }
            isAttached = true
            object.attach(emissions)
        }
        object.subscribed(emissions, to: subscriptions.signals)
    }

    /// Sends an emission to the subscribers on this loop.
    func deliver(_ emission: Emission) {
        guard let signature = members.signal(emission.signal)?.signature else { return }
        if let payload = emission.payload {
            return subscriptions.emit(emission.signal, payload, flags: [], signature: signature, missed: emission.missed)
        }
        subscriptions.emit(emission.signal, ByteBuffer(), flags: [], signature: signature, missed: emission.missed) { subscriber in
            let address = subscriber.address
            var payload = ByteBuffer()
            try subscriber.connection.exporting(
                emission.arguments, inService: address.service, isPassed: address.isPassed
            ) { (values) throws(WireError) in
                try payload.writeQiArguments(values, as: signature, objects: subscriber.connection.objectCoding)
            }
            return payload
        }
    }

    private func emitFromPost(_ signal: MemberTable.Signal, _ call: IncomingCall) {
        do {
            let arguments: [QiValue]
            do {
                arguments = try emitted(signal.signature, call)
            } catch {
                call.releaseArguments(of: members)
                throw error
            }
            try object.emitPosted(
                signal.meta.uid, arguments.map { try call.connection.adopting($0, named: "an object of the emitter") })
        } catch {
            // A Post has no answer, not even on failure (reference §3).
            bus.logger.debug("posted signal not emitted", metadata: [LogKeys.error: "\(error)"])
        }
    }

    private func emitted(_ signature: Signature, _ call: IncomingCall) throws(WireError) -> [QiValue] {
        var payload = call.payload
        let coding = call.connection.objectCoding
        guard call.header.flags.contains(.dynamicPayload) else { return try payload.readQiArguments(signature, objects: coding).values }
        let given = try payload.readQiArguments(.dynamic, objects: coding)
        let converted = try QiValue.tuple(given.values).converted(from: given.tupleType, to: signature.type)
        return try QiArguments(converted, as: signature.type).values
    }

    /// Calls `sink` with the payload of every emission, on the loop: for objects whose emissions all start here.
    func addSink(to signal: UInt32, _ sink: @escaping SubscriptionTable.LocalSink) -> UInt64 {
        subscriptions.add(to: signal, sink)
    }

    /// Ends what ``addSink(to:_:)`` began.
    func removeSink(_ token: UInt64, from signal: UInt32) { subscriptions.remove(token: token, from: signal) }
}

extension ObjectMethod {
    /// Whether the body works with values, whatever their types.
    var isDynamic: Bool { if case .values = body { true } else { false } }
}

extension MethodCall {
    /// The result as a value, for whoever watches the call.
    fileprivate func value(of method: MemberTable.Method) -> QiValue {
        if let resultValue { return resultValue }
        var copy = result
        if let tail { copy.writeImmutableBuffer(tail) }
        return (try? copy.readQi(method.returns.type)) ?? .void
    }
}

extension Error {
    /// What the Error message of a failed call says.
    var callText: String {
        switch self {
        case let error as QiError: error.wireText
        case let error as WireError: error.message
        default: "\(self)"
        }
    }
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
