import NIOCore
@testable import QiMessaging
import QiWire
import Synchronization

/// Calls of `take` are answered when they are let go.
final class Slow: Sendable {
    private struct State {
        var isOpen = false
        var waiting: [UnsafeContinuation<Void, Never>] = []
    }
    private let state = Mutex(State())

    var object: ObjectBuilder {
        var builder = ObjectBuilder()
        builder.advertiseMethod("take", "(r)", returns: "i") { [self] arguments, _ in
            await opened()
            guard case .raw(let bytes) = arguments[0] else { return .int32(-1) }
            return .int32(Int32(bytes.readableBytes))
        }
        return builder
    }

    /// Returns when it is let go.
    func opened() async {
        await withUnsafeContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiting.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }

    func letGo() {
        let waiting = state.withLock { state in
            state.isOpen = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }
}

extension Slow {
    /// A call of its method with so many bytes.
    static func call(_ id: UInt32, _ service: UInt32, _ bytes: Int) throws -> Message {
        try .call(ActionAddress(service: service, object: 1, action: 100), id: id, [.raw(ByteBuffer(repeating: 1, count: bytes))], "(r)")
    }
}
