public import QiMessaging
import QiWire
import Synchronization

/// The service that conformance cases call.
public final class ConformanceService: Sendable {
    public static let name = "Conformance"

    private struct State {
        var served = 0
        var waiting = 0
        var cancelled = 0
        var changed: [AsyncStream<Void>.Continuation] = []
    }
    private let state = Mutex(State())

    public init() {}

    /// How many calls of `echo` were served, how many of `wait` run, and how many of those were cancelled.
    var served: Int { state.withLock { $0.served } }
    var waiting: Int { state.withLock { $0.waiting } }
    var cancelled: Int { state.withLock { $0.cancelled } }

    private func change(_ change: (inout State) -> Void) {
        let listeners = state.withLock { state in
            change(&state)
            return state.changed
        }
        for listener in listeners { listener.yield() }
    }

    /// Returns when `condition` holds: it is looked at after every call that began or ended.
    ///
    /// - Throws: when the task is cancelled, as by a test that is out of time.
    func until(_ condition: (_ waiting: Int, _ cancelled: Int) -> Bool) async throws {
        let (changes, listener) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        state.withLock { $0.changed.append(listener) }
        if state.withLock({ condition($0.waiting, $0.cancelled) }) { return }
        for await _ in changes where state.withLock({ condition($0.waiting, $0.cancelled) }) { return }
        throw CancellationError()
    }

    /// What is registered: `echo(r) -> r`, `wait()`, which ends when it is cancelled, `served() -> i`, `recall(o, s) -> s`, which calls
    /// `called(s) -> s` of what it is given, and the signal `tick(i)`.
    public var object: ObjectBuilder {
        var builder = ObjectBuilder()
        builder.advertiseMethod("echo", "(r)", returns: "r") { [self] arguments, _ in
            change { $0.served += 1 }
            return arguments[0]
        }
        builder.advertiseMethod("served", "()", returns: "i") { [self] _, _ in .int32(Int32(clamping: served)) }
        builder.advertiseMethod("wait", "()") { [self] _, _ in
            change { $0.waiting += 1 }
            // Nothing is ever yielded, and a cancelled task's iteration ends.
            let (stream, continuation) = AsyncStream.makeStream(of: Never.self)
            for await _ in stream {}
            withExtendedLifetime(continuation) {}
            change {
                $0.waiting -= 1
                $0.cancelled += 1
            }
            throw CancellationError()
        }
        builder.advertiseMethod("recall", "(os)", returns: "s") { arguments, _ in
            try await ObjectProxy(qiValue: arguments[0]).call("called", arguments: [arguments[1]])
        }
        builder.advertiseSignal("tick", "(i)")
        return builder
    }
}
