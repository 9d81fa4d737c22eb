import Logging
import NIOCore
public import QiWire
import Synchronization

/// A signal with arguments of Swift types. An implementation makes one and emits it; a proxy has one that leads to the object's.
///
///     nonisolated let greeted = Signal<String>()
///     greeted.emit("Ada")
///
///     for try await name in try await greeter.greeted.events() { print(name) }
///
/// Arguments go to listeners of this process as they are. They are encoded once per emission for all others, and only when there
/// are any. A subscriber that does not keep up loses events, never the emitter its time: each queue is bounded, and what is
/// dropped is counted.
public final class Signal<each Value: QiConvertible>: Sendable {
    /// One parameter, the tuple: a function of as many as there are values cannot be stored.
    typealias Handler = @Sendable ((repeat each Value)) -> Void

    private struct Attachment: Sendable {
        weak let object: DynamicObject?
        let uid: UInt32
    }

    private struct State {
        var handlers: [(token: UInt64, handler: Handler)] = []
        var attachments: [Attachment] = []
        var nextToken: UInt64 = 1
    }

    private let state = Mutex(State())
    private let remote: (object: ObjectProxy, name: String)?

    /// A signal of an implementation.
    public init() { remote = nil }

    /// The signal of another object.
    public init(of object: ObjectProxy, named name: String) { remote = (object, name) }

    /// The types of the arguments.
    static var types: [QiType] {
        var types: [QiType] = []
        repeat types.append((each Value).qiType)
        return types
    }

    // MARK: - Emitting

    /// Emits the signal: to whoever subscribed, or, of another object, by asking its owner to.
    public func emit(_ value: repeat each Value) {
        if let remote { return post(remote.object, remote.name, repeat each value) }
        let (handlers, attachments) = state.withLock { ($0.handlers, $0.attachments) }
        for entry in handlers { entry.handler((repeat each value)) }
        for attachment in attachments {
            guard let object = attachment.object, object.isSubscribed(attachment.uid) else { continue }
            emit(repeat each value, of: object, attachment.uid)
        }
    }

    private func emit(_ value: repeat each Value, of object: DynamicObject, _ uid: UInt32) {
        func values() -> [QiValue] {
            var values: [QiValue] = []
            repeat values.append((each value).qiValue)
            return values
        }
        guard let signature = object.members.signal(uid)?.signature, !signature.type.mayHoldObject else {
            return object.emit(uid, values())
        }
        var payload = ByteBuffer()
        do throws(WireError) {
            repeat try (each value).write(to: &payload)
        } catch {
            preconditionFailure("a value without objects always has bytes: \(error)")
        }
        object.emit(uid, payload: payload, arguments: values())
    }

    private func post(_ object: ObjectProxy, _ name: String, _ value: repeat each Value) {
        var values: [QiValue] = []
        repeat values.append((each value).qiValue)
        do {
            try object.emit(name, arguments: values)
        } catch {
            object.handle.log("signal not emitted", error)
        }
    }

    /// From now on what is emitted here is emitted by `object`.
    func attach(to object: DynamicObject, as uid: UInt32) {
        state.withLock { state in
            state.attachments.removeAll { $0.object == nil }
            state.attachments.append(Attachment(object: object, uid: uid))
        }
    }

    // MARK: - Listening

    /// Calls `handler` with every emission until the link is disconnected, libqi's `connect`. It runs on the emitter's thread, or
    /// where the event arrives, and must not block.
    ///
    /// - Throws: `.notFound` when the object has no such signal, `.invalid` when its types cannot become these.
    public func connect(_ handler: @escaping @Sendable (repeat each Value) -> Void) async throws(QiError) -> SignalLink {
        try await link({ (value: (repeat each Value)) in handler(repeat each value) }, leftOut: { _ in }, isLatest: false) { _ in }
    }

    /// The emissions from now on, as an asynchronous sequence of their arguments. It ends by throwing when the object goes away or its
    /// connection is lost.
    ///
    /// - Throws: as ``connect(_:)``.
    public func events(
        buffering: EventBuffering = .newest(256)
    ) async throws(QiError) -> SignalSequence<(repeat each Value)> {
        let queue = EventQueue<(repeat each Value)>(buffering)
        let link = try await link({ queue.push($0) }, leftOut: { queue.leftOut($0) }, isLatest: buffering == .latest) { queue.finish($0) }
        return SignalSequence(queue, link)
    }

    private func link(
        _ handler: @escaping Handler, leftOut: @escaping @Sendable (Int) -> Void, isLatest: Bool,
        ended: @escaping @Sendable (QiError) -> Void
    ) async throws(QiError) -> SignalLink {
        guard let remote else { return listen(handler) }
        let name = remote.name
        guard let meta = remote.object.metaObject.signal(named: name), let signal = remote.object.handle.members.signal(meta.uid) else {
            throw QiError(.notFound, "\(remote.object.name) has no signal \"\(name)\"")
        }
        let wanted = QiType.tuple(Self.types)
        guard Convertibility.score(from: signal.signature.type, to: wanted) > 0 else {
            throw QiError(
                .invalid, "\(remote.object.name).\(name) is \(meta.signature), which does not convert to \(Signature(wanted).text)")
        }
        let decoder = EventDecoder(signal: signal, objectName: "an object of \(remote.object.name)")
        let isExact = signal.signature.type == wanted && !wanted.mayHoldObject
        // An event that does not decode is dropped (wire reference §15).
        return try await SignalLink.connect(
            remote.object, meta.uid, isLatest: isLatest,
            received: { payload, flags, connection, missed in
                if missed > 0 { leftOut(missed) }
                if isExact, flags.isEmpty {
                    Self.deliver(payload, to: handler)
                } else if let arguments = try? decoder.arguments(payload, flags, connection) {
                    Self.deliver(arguments, to: handler)
                }
            }, sink: { Self.deliver($0, to: handler) }, ended: ended)
    }

    private func listen(_ handler: @escaping Handler) -> SignalLink {
        let token = state.withLock { state in
            defer { state.nextToken += 1 }
            state.handlers.append((state.nextToken, handler))
            return state.nextToken
        }
        return SignalLink { [weak self] in self?.state.withLock { $0.handlers.removeAll { $0.token == token } } }
    }

    private static func deliver(_ arguments: [QiValue], to handler: Handler) {
        guard arguments.count == types.count else { return }
        var rest = arguments.makeIterator()
        func next<Argument: QiConvertible>(_ type: Argument.Type) throws -> Argument {
            guard let value = rest.next() else { throw WireError(.conversion, "too few arguments") }
            return try Argument(qiValue: value)
        }
        do { handler((repeat try next((each Value).self))) } catch { return }
    }

    private static func deliver(_ payload: ByteBuffer, to handler: Handler) {
        var payload = payload
        do { handler((repeat try (each Value)(reading: &payload))) } catch { return }
    }
}
