import NIOCore
import NIOEmbedded
import Testing

@testable import XMPP

@Suite struct PendingWritesTests {
    private func bytes(_ count: Int) -> ByteBuffer { ByteBuffer(repeating: 1, count: count) }

    @Test func onlyWhatWasFlushedGoes() {
        var writes = PendingWrites(watermark: .init(low: 10, high: 20))
        var taken = 0
        check(writes.append(bytes(5), promise: nil), false)
        #expect(!writes.hasFlushed)
        writes.flush()
        check(writes.append(bytes(6), promise: nil), false)
        let progress = writes.drain {
            taken += $0.readableBytes
            $0.clear()
        }
        #expect(taken == 5)
        #expect(!progress.isBlocked)
        #expect(!writes.hasFlushed)
    }

    @Test func writabilityFollowsTheWatermarks() {
        var writes = PendingWrites(watermark: .init(low: 10, high: 20))
        check(writes.append(bytes(20), promise: nil), false)
        check(writes.append(bytes(1), promise: nil), true)
        #expect(!writes.isWritable)
        check(writes.append(bytes(1), promise: nil), false)
        writes.flush()
        // 22 bytes wait; after 12 were taken there are 10, which is not below the mark.
        var progress = writes.drain { $0.moveReaderIndex(forwardBy: min(12, $0.readableBytes)) }
        #expect(progress.isBlocked)
        #expect(!progress.becameWritable)
        progress = writes.drain { $0.clear() }
        #expect(progress.becameWritable)
        #expect(!progress.isBlocked)
        #expect(writes.isWritable)
    }

    @Test func promisesAreDoneWithTheirLastByteAndInOrder() throws {
        let loop = EmbeddedEventLoop()
        let first = loop.makePromise(of: Void.self)
        let second = loop.makePromise(of: Void.self)
        let third = loop.makePromise(of: Void.self)
        var writes = PendingWrites(watermark: .init(low: 10, high: 20))
        _ = writes.append(bytes(4), promise: first)
        _ = writes.append(bytes(4), promise: second)
        writes.flush()
        _ = writes.append(bytes(4), promise: third)
        var room = 6
        let progress = writes.drain { buffer in
            let count = min(room, buffer.readableBytes)
            buffer.moveReaderIndex(forwardBy: count)
            room -= count
        }
        #expect(progress.done.map(\.futureResult) == [first.futureResult])
        #expect(progress.isBlocked)
        #expect(writes.removeAll().map(\.futureResult) == [second.futureResult, third.futureResult])
        #expect(!writes.hasFlushed)
        for promise in [first, second, third] { promise.succeed(()) }
    }
}
