import Foundation
import QiMessaging
import QiWire
import Synchronization

/// The service under test. `Echo` runs off the event loop, as user code does unless it says otherwise.
///
/// Its methods: `echo(s) -> s`, `raw(r) -> r`, `burst(I)` emits so many `tick(s)`; for the guards `threads() -> I`, how many
/// threads its `echo` ran on, and `allocations() -> L`.
enum EchoService {
    static let payload = "0123456789abcdef"

    static var queued: ObjectBuilder {
        var builder = ObjectBuilder()
        let threads = ThreadCount()
        builder.advertiseMethod("echo", "(s)", returns: "s") { arguments, _ in
            threads.note()
            return arguments[0]
        }
        builder.advertiseMethod("raw", "(r)", returns: "r") { arguments, _ in arguments[0] }
        builder.advertiseMethod("burst", "(I)") { arguments, context in
            for _ in 0..<(arguments[0].asUInt32 ?? 0) { try context.object.emit("tick", [.string(QiString(payload))]) }
            return .void
        }
        builder.advertiseMethod("threads", "()", returns: "I") { _, _ in .uint32(threads.count) }
        builder.advertiseMethod("allocations", "()", returns: "L") { _, _ in .uint64(Allocations.count) }
        builder.advertiseSignal("tick", "(s)")
        return builder
    }
}

/// The threads that ran some code.
final class ThreadCount: Sendable {
    private let seen = Mutex<Set<UInt>>([])

    func note() { seen.withLock { _ = $0.insert(UInt(pthread_self())) } }

    var count: UInt32 { seen.withLock { UInt32($0.count) } }
}

/// Heap allocations of this process, counted when the counter is preloaded (`.ci/guards`).
enum Allocations {
    private typealias Counter = @convention(c) @Sendable () -> UInt64

    private static let counter = dlsym(nil, "qimesh_allocation_count").map { unsafeBitCast($0, to: Counter.self) }

    /// 0 without the counter.
    static var count: UInt64 { counter?() ?? 0 }
}
