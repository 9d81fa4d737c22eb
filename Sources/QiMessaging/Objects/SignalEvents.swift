import DequeModule
import NIOCore
public import QiWire
import Synchronization

/// The events of one subscription, each the signal's arguments. Ends when it is stopped, when the service is removed and when
/// its connection is lost; ``failure`` then says why. One reader at a time. Keeps its object alive.
public final class SignalEvents: AsyncSequence, Sendable {
    public typealias Element = [QiValue]

    private struct State {
        var events: Deque<[QiValue]> = []
        var waiting: UnsafeContinuation<[QiValue]?, Never>?
        var isFinished = false
        var dropped = 0
        var failure: QiError?
    }

    private let state = Mutex(State())
    private let proxy: ObjectProxy
    private var loop: BusLoop { proxy.loop }
    private var target: NIOLoopBound<RemoteObject> { proxy.target }
    private let signal: UInt32
    private let signature: Signature
    private let capacity: Int
    private let token = Mutex<UInt64?>(nil)

    init(of proxy: ObjectProxy, signal: UInt32, signature: Signature, capacity: Int) {
        self.proxy = proxy
        self.signal = signal
        self.signature = signature
        self.capacity = capacity
    }

    deinit { stop() }

    /// How many events were dropped because the reader was slow.
    public var dropped: Int { state.withLock { $0.dropped } }

    /// Why no more events come; nil while they may, and after ``stop()``.
    public var failure: QiError? { state.withLock { $0.failure } }

    func subscribe() async throws(QiError) {
        let target = self.target
        let signal = self.signal
        let failure: QiError? = try await loop.run { (_) async throws(QiError) -> QiError? in
            await withUnsafeContinuation { continuation in
                let token = target.value.listen(
                    to: signal, confirmed: { continuation.resume(returning: $0) }, ended: { [weak self] in self?.ended($0) }
                ) { [weak self] payload, flags in self?.received(payload, flags) }
                self.token.withLock { $0 = token }
            }
        }
        if let failure {
            stop()
            throw failure
        }
    }

    /// Ends the subscription; readers get what waits, then the end.
    public func stop() {
        let token = self.token.withLock { token in
            defer { token = nil }
            return token
        }
        if let token {
            let (target, signal) = (target, signal)
            loop.submit { _ in target.value.stopListening(token, to: signal) }
        }
        finish(nil)
    }

    private func ended(_ error: QiError) {
        token.withLock { $0 = nil }
        finish(error)
    }

    private func finish(_ error: QiError?) {
        let waiting = state.withLock { state in
            if !state.isFinished { state.failure = error }
            state.isFinished = true
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume(returning: nil)
    }

    private func received(_ payload: ByteBuffer, _ flags: MessageFlags) {
        let type: QiType = flags.contains(.dynamicPayload) ? .dynamic : signature.type
        var payload = payload
        // An event that does not decode is dropped (wire reference §15).
        let coding = target.value.connection?.objectCoding ?? .standard
        guard let value = try? payload.readQi(type, objects: coding), let arguments = try? QiArguments(value, as: type) else { return }
        let waiting = state.withLock { state -> UnsafeContinuation<[QiValue]?, Never>? in
            if state.isFinished { return nil }
            if let waiting = state.waiting {
                state.waiting = nil
                return waiting
            }
            state.events.append(arguments.values)
            if state.events.count > capacity {
                state.events.removeFirst()
                state.dropped += 1
            }
            return nil
        }
        waiting?.resume(returning: arguments.values)
    }

    private func next() async -> [QiValue]? {
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                let ready: [QiValue]?? = state.withLock { state in
                    if let event = state.events.popFirst() { return .some(event) }
                    if state.isFinished || Task.isCancelled { return .some(nil) }
                    state.waiting?.resume(returning: nil)
                    state.waiting = continuation
                    return nil
                }
                if let ready { continuation.resume(returning: ready) }
            }
        } onCancel: {
            let waiting = state.withLock { state in
                defer { state.waiting = nil }
                return state.waiting
            }
            waiting?.resume(returning: nil)
        }
    }

    public struct AsyncIterator: AsyncIteratorProtocol {
        let events: SignalEvents
        public mutating func next() async -> [QiValue]? { await events.next() }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(events: self) }
}
