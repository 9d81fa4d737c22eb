import Foundation
import NIOCore
import QiMessaging
import QiWire
import Synchronization

/// The service under test, in three kinds.
///
/// Its methods: `echo(s) -> s`, `raw(r) -> r`, `burst(I)` emits so many `tick(s)`; for the guards `threads() -> I`, how many threads
/// `noted(s) -> s` ran on, and `allocations() -> L`.
enum EchoService {
    static let payload = "0123456789abcdef"

    /// Service name -> object.
    static var all: [(name: String, object: ObjectBuilder)] {
        [("Echo", queued), ("Direct", direct), ("DirectAsync", directAsync)]
    }

    /// Off the event loop, with dynamic values: what user code gets unless it says otherwise.
    private static var queued: ObjectBuilder {
        var builder = ObjectBuilder()
        builder.advertiseMethod("echo", "(s)", returns: "s") { arguments, _ in arguments[0] }
        builder.advertiseMethod("raw", "(r)", returns: "r") { arguments, _ in arguments[0] }
        builder.advertiseMethod("burst", "(I)") { arguments, context in
            for _ in 0..<(arguments[0].asUInt32 ?? 0) { try context.object.emit("tick", [.string(QiString(payload))]) }
            return .void
        }
        builder.advertiseSignal("tick", "(s)")
        return builder
    }

    /// On the loop, without a task.
    private static var direct: ObjectBuilder {
        var builder = ObjectBuilder()
        let tick = Signal<String>()
        let threads = ThreadCount()
        builder.advertise(immediateMethod: "echo", parameters: [.string], returns: .string) { call in
            try call.reply(try call.next(String.self))
        }
        builder.advertise(immediateMethod: "raw", parameters: [.raw], returns: .raw) { call in
            try call.reply(try call.next(ByteBuffer.self))
        }
        builder.advertise(immediateMethod: "burst", parameters: [.uint32]) { call in
            for _ in 0..<(try call.next(UInt32.self)) { tick.emit(payload) }
        }
        builder.advertise(immediateMethod: "threads", parameters: [], returns: .uint32) { call in try call.reply(threads.count) }
        builder.advertise(immediateMethod: "allocations", parameters: [], returns: .uint64) { call in
            try call.reply(Allocations.count)
        }
        builder.advertise(method: "noted", parameters: [.string], returns: .string, callType: .direct) { call in
            threads.note()
            let text = try call.next(String.self)
            await Task.yield()
            threads.note()
            try call.reply(text)
        }
        builder.advertise(signal: "tick", tick)
        return builder
    }

    /// On the loop, in a pooled task.
    private static var directAsync: ObjectBuilder {
        var builder = ObjectBuilder()
        let tick = Signal<String>()
        builder.advertise(method: "echo", parameters: [.string], returns: .string, callType: .direct) { call in
            try call.reply(try call.next(String.self))
        }
        builder.advertise(method: "raw", parameters: [.raw], returns: .raw, callType: .direct) { call in
            try call.reply(try call.next(ByteBuffer.self))
        }
        builder.advertise(method: "burst", parameters: [.uint32], callType: .direct) { call in
            for _ in 0..<(try call.next(UInt32.self)) { tick.emit(payload) }
        }
        builder.advertise(signal: "tick", tick)
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
