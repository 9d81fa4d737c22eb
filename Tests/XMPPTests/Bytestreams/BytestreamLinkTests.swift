import NIOCore
import NIOEmbedded
import Testing

@testable import XMPP

@Suite struct BytestreamLinkTests {
    /// A stanza thread that has sent everything before whoever woke it goes on.
    private struct AtOnce: StanzaExecutor {
        func execute(_ work: @escaping @Sendable () -> Void) { work() }
    }

    @Test func roomThatComesWhileTheChannelLooksIsNotMissed() throws {
        let loop = EmbeddedEventLoop()
        let place = Locked<BytestreamLink?>(nil)
        let sent = Locked(0)
        let link = BytestreamLink(
            eventLoop: loop, capacity: 8, executor: AtOnce(),
            stanzaWork: {
                guard let link = place.withLock({ $0 }) else { return }
                _ = link.takeOrders()
                while link.takeOutbound(2, { bytes in sent.withLock { $0 += bytes.count } }).left > 0 {}
            })
        place.withLock { $0 = link }
        let started = Locked<(any Channel)?>(nil)
        BytestreamChannel.start(
            link: link, initializer: { $0.eventLoop.makeSucceededVoidFuture() },
            completion: { result in started.withLock { $0 = try? result.get() } })
        loop.run()
        let channel = try #require(started.withLock { $0 })
        channel.writeAndFlush(ByteBuffer(repeating: 1, count: 100), promise: nil)
        loop.run()
        #expect(sent.withLock { $0 } == 100)
        channel.close(promise: nil)
        loop.run()
        place.withLock { $0 = nil }
    }
}
