import NIOCore
import QiWire
import Synchronization

/// An object of this process, libqi's `DynamicObject`: what it is, whoever reaches it. On every event loop whose connections
/// reach it a ``LocalObject`` stands for it; callers of this process call it directly, and nothing is encoded.
final class DynamicObject: ObjectAttachment, Sendable {
    /// Tells one listener of this process of the events of a signal.
    struct Listener: Sendable {
        let token: UInt64
        let sink: @Sendable ([QiValue]) -> Void
    }

    private struct State {
        var presences: [EmissionQueue] = []
        var listeners: [UInt32: [Listener]] = [:]
        var nextToken: UInt64 = 1
        var statistics = ObjectStatistics()
        var nextTrace: UInt32 = 1
        var traceSubscribers = 0
    }

    /// Bits of `observers`.
    private enum Observer {
        static let statistics: UInt32 = 1
        static let trace: UInt32 = 2
        static let traceSubscriber: UInt32 = 4
    }

    let members: MemberTable
    let uid: ObjectUID
    let methods: ActionTable<ObjectMethod>
    private let properties: [UInt32: PropertyStorage]
    /// Whether a peer may emit the signals by posting to them (wire reference §14).
    let takesPostedSignals: Bool
    /// What a typed proxy in this process calls.
    let implementation: (any Sendable)?
    private let state = Mutex(State())
    private let observers = Atomic<UInt32>(0)

    init(
        members: MemberTable, methods: ActionTable<ObjectMethod> = ActionTable([]), properties: [UInt32: PropertyStorage] = [:],
        implementation: (any Sendable)? = nil, takesPostedSignals: Bool = true
    ) {
        self.members = members
        self.methods = methods
        self.properties = properties
        self.implementation = implementation
        self.takesPostedSignals = takesPostedSignals
        uid = ObjectUID.random()
    }

    var metaObject: MetaObject { members.metaObject }

    private let encodedMetaObject = Mutex<ByteBuffer?>(nil)

    /// The metaobject as it is sent, encoded at its first use.
    var metaObjectBytes: ByteBuffer {
        encodedMetaObject.withLock { known in
            if let known { return known }
            var bytes = ByteBuffer()
            metaObject.write(to: &bytes)
            known = bytes
            return bytes
        }
    }

    /// The name of a member, for messages.
    func name(of member: UInt32) -> String {
        members.method(member)?.meta.name ?? members.signal(member)?.meta.name ?? "#\(member)"
    }

    // MARK: - Statistics and traces

    /// Whether calls are measured or traced: then they go the way where that is done.
    var isObserved: Bool { observers.load(ordering: .relaxed) != 0 }
    private var isMeasured: Bool { observers.load(ordering: .relaxed) & Observer.statistics != 0 }
    var isTraced: Bool { observers.load(ordering: .relaxed) & (Observer.trace | Observer.traceSubscriber) != 0 }

    private func observe(_ bit: UInt32, _ isOn: Bool) {
        if isOn {
            observers.bitwiseOr(bit, ordering: .relaxed)
        } else {
            observers.bitwiseAnd(~bit, ordering: .relaxed)
        }
    }

    /// The beginning of a call; nil while nobody wants to know.
    func begin(_ method: UInt32, _ arguments: @autoclosure () -> [QiValue], onThread: Bool) -> CallObservation? {
        guard isObserved else { return nil }
        var observation = CallObservation()
        if isMeasured { observation.measurement = ObjectStatistics.Measurement(onThread: onThread) }
        if isTraced {
            let id = state.withLock { state in
                defer { state.nextTrace &+= 1 }
                return state.nextTrace
            }
            observation.trace = id
            trace(.call, id, method, ObjectTrace.list(arguments()))
        }
        return observation
    }

    /// The end of a call.
    func end(_ method: UInt32, _ observation: CallObservation?, _ kind: ObjectTrace.Kind, _ content: @autoclosure () -> QiValue) {
        guard let observation else { return }
        if let measurement = observation.measurement { state.withLock { $0.statistics.finish(method, measurement) } }
        if let id = observation.trace { trace(kind, id, method, content()) }
    }

    private func trace(_ kind: ObjectTrace.Kind, _ id: UInt32, _ member: UInt32, _ content: QiValue) {
        send(WellKnownActions.traceObject, [ObjectTrace.event(kind, id: id, member: member, content: content)])
    }

    /// Serves the generic actions that need no connection.
    func generic(_ action: UInt32, _ arguments: [QiValue]) throws -> QiValue {
        switch action {
        case WellKnownActions.metaObject: return metaObject.qiValue
        case WellKnownActions.terminate: return .void
        case WellKnownActions.property: return .dynamic(try property(arguments[0]))
        case WellKnownActions.setProperty:
            try setProperty(arguments[0], arguments[1])
            return .void
        case WellKnownActions.properties: return .list(metaObject.properties.map { .string($0.name) })
        case WellKnownActions.isStatsEnabled: return .bool(isMeasured)
        case WellKnownActions.enableStats:
            observe(Observer.statistics, arguments[0].asBool ?? false)
            return .void
        case WellKnownActions.stats: return state.withLock { $0.statistics.value }
        case WellKnownActions.clearStats:
            state.withLock { $0.statistics.clear() }
            return .void
        case WellKnownActions.isTraceEnabled: return .bool(isTraced)
        case WellKnownActions.enableTrace:
            observe(Observer.trace, arguments[0].asBool ?? false)
            return .void
        default: throw QiError(.notFound, "No such method \(action)")
        }
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

    func property(_ key: QiValue) throws(QiError) -> QiDynamic {
        let id = try propertyID(key)
        guard let signature = members.property(id)?.signature, let storage = properties[id] else { return QiDynamic(.void) }
        let value = storage.read()
        // A property of signature `m` reads as the dynamic itself, not as a dynamic in one (reference §16).
        if case .dynamic(let dynamic) = value, signature.type == .dynamic { return dynamic }
        return QiDynamic(signature: signature, value: value)
    }

    /// Writes a property, converted to its type, and tells its subscribers, also when the value is the same (reference §16).
    func setProperty(_ key: QiValue, _ value: QiValue) throws {
        let id = try propertyID(key)
        guard let signature = members.property(id)?.signature, let storage = properties[id] else { return }
        try storage.write(try value.converted(from: value.inferredType, to: signature.type), self)
    }

    // MARK: - Signals

    /// Whether an emission would reach anybody.
    func isSubscribed(_ signal: UInt32) -> Bool {
        if isTraced { return true }
        return state.withLock { state in
            !(state.listeners[signal]?.isEmpty ?? true) || state.presences.contains { $0.isSubscribed(signal) }
        }
    }

    /// Emits a signal with arguments of its types.
    func emit(_ signal: UInt32, _ arguments: [QiValue]) {
        if isTraced { trace(.signal, 0, signal, ObjectTrace.list(arguments)) }
        send(signal, arguments)
    }

    /// Emits a signal whose arguments have been encoded already.
    func emit(_ signal: UInt32, payload: ByteBuffer, arguments: @autoclosure () -> [QiValue]) {
        if isTraced { trace(.signal, 0, signal, ObjectTrace.list(arguments())) }
        let (listeners, presences) = state.withLock { ($0.listeners[signal] ?? [], $0.presences) }
        if !listeners.isEmpty {
            let values = arguments()
            for listener in listeners { listener.sink(values) }
        }
        for presence in presences { presence.push(Emission(signal: signal, arguments: [], payload: payload)) }
    }

    private func send(_ signal: UInt32, _ arguments: [QiValue]) {
        let (listeners, presences) = state.withLock { ($0.listeners[signal] ?? [], $0.presences) }
        for listener in listeners { listener.sink(arguments) }
        guard presences.contains(where: { $0.isSubscribed(signal) }), let signature = members.signal(signal)?.signature else { return }
        var payload: ByteBuffer?
        // What holds objects is encoded for each connection; what does not fit its type is not sent, and was refused before.
        if !signature.type.mayHoldObject || !arguments.contains(where: \.holdsObject) {
            var bytes = ByteBuffer()
            guard (try? bytes.writeQiArguments(arguments, as: signature)) != nil else { return }
            payload = bytes
        }
        for presence in presences { presence.push(Emission(signal: signal, arguments: arguments, payload: payload)) }
    }

    /// A Post to a signal id asks the owner to emit it (reference §14); a property takes the value with it.
    func emitPosted(_ signal: UInt32, _ arguments: [QiValue]) throws {
        if properties[signal] != nil, let value = arguments.first {
            try setProperty(.uint32(signal), value)
        } else {
            emit(signal, arguments)
        }
    }

    /// Calls `sink` with every emission from now on, on the emitter's thread.
    func listen(to signal: UInt32, _ sink: @escaping @Sendable ([QiValue]) -> Void) -> UInt64 {
        let token = state.withLock { state in
            defer { state.nextToken += 1 }
            state.listeners[signal, default: []].append(Listener(token: state.nextToken, sink: sink))
            return state.nextToken
        }
        if signal == WellKnownActions.traceObject { countTraceSubscribers(1) }
        return token
    }

    func stopListening(_ token: UInt64, to signal: UInt32) {
        state.withLock { state in
            state.listeners[signal]?.removeAll { $0.token == token }
            if state.listeners[signal]?.isEmpty == true { state.listeners[signal] = nil }
        }
        if signal == WellKnownActions.traceObject { countTraceSubscribers(-1) }
    }

    /// Whoever subscribes to the trace turns it on (reference §20).
    private func countTraceSubscribers(_ change: Int) {
        let count = state.withLock { state in
            state.traceSubscribers += change
            return state.traceSubscribers
        }
        observe(Observer.traceSubscriber, count > 0)
    }

    // MARK: - Event loops

    func attach(_ presence: EmissionQueue) { state.withLock { $0.presences.append(presence) } }

    func detach(_ presence: EmissionQueue) { state.withLock { $0.presences.removeAll { $0 === presence } } }

    /// What the subscribers on one event loop want.
    func subscribed(_ presence: EmissionQueue, to signals: Set<UInt32>) {
        let was = presence.isSubscribed(WellKnownActions.traceObject)
        presence.setSubscribed(signals)
        let wants = signals.contains(WellKnownActions.traceObject)
        if was != wants { countTraceSubscribers(wants ? 1 : -1) }
    }
}
