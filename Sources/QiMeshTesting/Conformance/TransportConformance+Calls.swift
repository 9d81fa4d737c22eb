import NIOCore
import QiMessaging
import QiWire

/// The cases that need nothing but calls.
extension TransportConformance {
    @Sendable static func opens(_ peers: ConformancePeers) async throws {
        let value = try await peers.proxy.call("served", arguments: [])
        try expect(value == .int32(0), "a first call answered \(value)")
    }

    /// Bytes that are different at every place.
    private static func bytes(_ count: Int, seed: Int = 0) -> ByteBuffer {
        var value = UInt32(truncatingIfNeeded: seed &* 2_654_435_761 | 1)
        let block = (0..<min(count, 65_521)).map { _ in
            value = value &* 1_664_525 &+ 1_013_904_223
            return UInt8(value >> 24)
        }
        var buffer = ByteBuffer()
        while buffer.readableBytes < count { buffer.writeBytes(block.prefix(count - buffer.readableBytes)) }
        return buffer
    }

    private static func echo(_ bytes: ByteBuffer, _ proxy: ObjectProxy) async throws {
        // A bytestream through stanzas is slow where everything is built for debugging.
        let value = try await proxy.call("echo", arguments: [.raw(bytes)], deadline: .seconds(240))
        // Not shown: it may be megabytes.
        try expect(value == .raw(bytes), "\(bytes.readableBytes) bytes came back changed")
    }

    /// Around every border that the layers below have: inline payloads, TLS records, blocks, read buffers, shared memory.
    @Sendable static func echoes(_ peers: ConformancePeers) async throws {
        for size in [0, 1, 4067, 4068, 4096, 4097, 16_384, 65_535, 65_536, 262_139, 262_140, 262_144, 1_048_576] {
            try await echo(bytes(size), peers.proxy)
        }
    }

    @Sendable static func bigFrames(_ peers: ConformancePeers) async throws {
        for size in [8 << 20, 10 << 20, 10 << 20] { try await echo(bytes(size), peers.proxy) }
        // Small ones are not disordered among them.
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<12 {
                group.addTask { try await echo(bytes(number % 6 == 0 ? 2 << 20 : 1000, seed: number), peers.proxy) }
            }
            try await group.waitForAll()
        }
    }

    /// How a call ends that never returns by itself.
    private static func ending(_ peers: ConformancePeers) async -> Result<QiValue, QiError> {
        do throws(QiError) {
            return .success(try await peers.proxy.call("wait", arguments: [], deadline: .seconds(60)))
        } catch {
            return .failure(error)
        }
    }

    private static func expect(_ result: Result<QiValue, QiError>?, _ code: QiError.Code) throws {
        guard case .failure(let error)? = result else { throw ConformanceFailure("a call returned that cannot return") }
        try expect(error.code == code, "a call ended with \(error.code) instead of \(code): \(error)")
    }

    @Sendable static func loss(_ peers: ConformancePeers) async throws {
        async let result = ending(peers)
        try await peers.service.until { waiting, _ in waiting == 1 }
        await peers.cut()
        try await expect(result, .disconnected)
        // The callee's end is an end of its callers' calls too.
        try await peers.service.until { waiting, _ in waiting == 0 }
    }

    @Sendable static func cancels(_ peers: ConformancePeers) async throws {
        let result = try await withThrowingTaskGroup(of: Result<QiValue, QiError>.self) { group in
            group.addTask { await ending(peers) }
            try await peers.service.until { waiting, _ in waiting == 1 }
            group.cancelAll()
            return try await group.next()
        }
        try expect(result, .cancelled)
        try await peers.service.until { _, cancelled in cancelled == 1 }
        try await echo(bytes(100), peers.proxy)
    }

    @Sendable static func parallelCalls(_ peers: ConformancePeers) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<1000 { group.addTask { try await echo(bytes(16 + number, seed: number), peers.proxy) } }
            try await group.waitForAll()
        }
        let served = peers.service.served
        try expect(served == 1000, "\(served) of 1000 calls arrived")
    }

    @Sendable static func events(_ peers: ConformancePeers) async throws {
        let count = Int32(2000)
        let events = try await peers.proxy.events(of: "tick", buffer: Int(count))
        for number in 0..<count { try peers.hosted.emit("tick", [.int32(number)]) }
        var next = Int32(0)
        for await event in events {
            try expect(event == [.int32(next)], "event \(event) came instead of \(next)")
            next += 1
            if next == count { return }
        }
        throw ConformanceFailure("the events ended after \(next)")
    }

    /// Held by an object for as long as that lives.
    private final class Life: Sendable {}

    @Sendable static func objects(_ peers: ConformancePeers) async throws {
        let (answer, life) = try await recall(peers)
        try expect(answer == .string("called with x"), "an object that was passed answered \(answer)")
        // The callee has let it go by the time it answers; its word is on the way, before answers that come later or among them.
        for _ in 0..<1000 where life() != nil { _ = try await peers.proxy.call("served", arguments: []) }
        try expect(life() == nil, "an object that was passed is not released")
    }

    /// Passes an object; what came of it, and what tells whether it lives.
    private static func recall(_ peers: ConformancePeers) async throws -> (QiValue, @Sendable () -> Life?) {
        let life = Life()
        var builder = ObjectBuilder()
        builder.advertiseMethod("called", "(s)", returns: "s") { [life] arguments, _ in
            withExtendedLifetime(life) { .string("called with \(arguments[0].asString ?? "")") }
        }
        let answer = try await peers.proxy.call("recall", arguments: [ObjectProxy(builder).qiValue, .string("x")])
        return (answer, { [weak life] in life })
    }
}
