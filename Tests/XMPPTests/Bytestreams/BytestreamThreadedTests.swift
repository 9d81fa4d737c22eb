import NIOCore
import NIOSSL
import Testing

@testable import XMPP

/// Bytestreams with real threads and TLS inside. Every wait is for an event; a hang ends at the time limit.
@Suite(.timeLimit(.minutes(8))) struct BytestreamThreadedTests {
    private static func pattern(_ count: Int, _ seed: Int = 0) -> ByteBuffer {
        ByteBuffer(bytes: (0..<count).map { UInt8(truncatingIfNeeded: ($0 + seed) &* 131 ^ $0 >> 8) })
    }

    @Test func aMebibyteComesBack() async throws {
        try await ThreadedPair.with { pair in
            try await pair.acceptAtDesk { try $0.pipeline.syncOperations.addHandler(EchoHandler()) }
            let bytes = Self.pattern(1 << 20)
            let promise = pair.robot.loop.makePromise(of: ByteBuffer.self)
            let channel = try await pair.open {
                try $0.pipeline.syncOperations.addHandler(CollectHandler(1 << 20, promise))
            }
            try await channel.writeAndFlush(bytes)
            #expect(try await promise.futureResult.get() == bytes)
            try await channel.close()
        }
    }

    @Test func tlsRunsInside() async throws {
        try await ThreadedPair.with { pair in
            let context = try DeviceCertificate.context()
            try await pair.acceptAtDesk { channel in
                try channel.pipeline.syncOperations.addHandler(DeviceCertificate.handler(context, isServer: true))
                try channel.pipeline.syncOperations.addHandler(EchoHandler())
            }
            let bytes = Self.pattern(300_000)
            let promise = pair.robot.loop.makePromise(of: ByteBuffer.self)
            let channel = try await pair.open { channel in
                try channel.pipeline.syncOperations.addHandler(DeviceCertificate.handler(context, isServer: false))
                try channel.pipeline.syncOperations.addHandler(CollectHandler(300_000, promise))
            }
            try await channel.writeAndFlush(bytes)
            #expect(try await promise.futureResult.get() == bytes)
            // TLS says good-bye both ways, then the bytestream ends.
            try await channel.close()
            try await channel.closeFuture.get()
        }
    }

    @Test func manyBytestreamsShareTheConnection() async throws {
        try await ThreadedPair.with { pair in
            try await pair.acceptAtDesk { try $0.pipeline.syncOperations.addHandler(EchoHandler()) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<16 {
                    group.addTask {
                        let bytes = Self.pattern(100_000, index)
                        let promise = pair.robot.loop.makePromise(of: ByteBuffer.self)
                        let channel = try await pair.open {
                            try $0.pipeline.syncOperations.addHandler(CollectHandler(100_000, promise))
                        }
                        channel.writeAndFlush(bytes, promise: nil)
                        let back = try await promise.futureResult.get()
                        #expect(back == bytes)
                        try await channel.close()
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test func aConnectionLostInTheMiddleFailsEveryChannel() async throws {
        try await ThreadedPair.with { pair in
            try await pair.acceptAtDesk { try $0.pipeline.syncOperations.addHandler(EchoHandler()) }
            var results: [EventLoopFuture<ByteBuffer>] = []
            var channels: [any Channel] = []
            for _ in 0..<8 {
                let promise = pair.robot.loop.makePromise(of: ByteBuffer.self)
                let channel = try await pair.open {
                    try $0.pipeline.syncOperations.addHandler(CollectHandler(100 << 20, promise))
                }
                // More than can ever come back in time: they are busy when the connection goes.
                channel.writeAndFlush(ByteBuffer(repeating: 7, count: 4 << 20), promise: nil)
                results.append(promise.futureResult)
                channels.append(channel)
            }
            try await pair.robot.perform { robot in
                robot.sink.disconnect()
                robot.bytestreams.disconnected(XMPPError(.connectionLost, "a test"))
            }
            for result in results { await #expect(throws: XMPPError.self) { try await result.get() } }
            for channel in channels {
                try await channel.closeFuture.get()
                #expect(!channel.isActive)
            }
        }
    }

    @Test func aWriterIsHeldBack() async throws {
        try await ThreadedPair.with { pair in
            let stalled = pair.desk.loop.makePromise(of: (any Channel).self)
            try await pair.acceptAtDesk { channel in
                try channel.syncOptions?.setOption(.autoRead, value: false)
                try channel.pipeline.syncOperations.addHandler(EchoHandler())
                stalled.succeed(channel)
            }
            let promise = pair.robot.loop.makePromise(of: ByteBuffer.self)
            let channel = try await pair.open {
                try $0.pipeline.syncOperations.addHandler(CollectHandler(1 << 20, promise))
            }
            let far = try await stalled.futureResult.get()
            let written = channel.eventLoop.makePromise(of: Void.self)
            channel.writeAndFlush(Self.pattern(1 << 20), promise: written)
            let isWritable = try await channel.eventLoop.submit { channel.isWritable }.get()
            #expect(!isWritable)
            try await far.setOption(.autoRead, value: true).get()
            #expect(try await promise.futureResult.get() == Self.pattern(1 << 20))
            try await written.futureResult.get()
            #expect(channel.isWritable)
        }
    }
}
