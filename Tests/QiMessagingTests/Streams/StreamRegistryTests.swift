import NIOCore
import NIOEmbedded
@testable import QiMessaging
import QiWire
import Testing

/// What devices get that greet on a path of theirs, in good faith or not.
struct StreamRegistryTests {
    /// One device's channel to us, as bytes.
    private final class Peer {
        let channel: EmbeddedChannel
        private var received = ByteBuffer()

        init(_ registry: StreamRegistry, _ loop: EmbeddedEventLoop, _ device: String = "a@x", key: String? = "key-a") throws {
            let side = registry.side(of: { StreamPath($0, .tcp) }, from: device, program: device + "/1", key: { key }, begin: { _ in })
            channel = EmbeddedChannel(handler: StreamPathHandler(side), loop: loop)
            try channel.connect(to: SocketAddress(unixDomainSocketPath: "/test")).wait()
        }

        func send(_ frames: StreamFrame...) throws {
            var bytes = ByteBuffer()
            for frame in frames { StreamFrameCoding.write(frame, to: &bytes) }
            try send(bytes)
        }

        func send(_ bytes: ByteBuffer) throws {
            try channel.writeInbound(bytes)
            channel.embeddedEventLoop.run()
        }

        /// What came back since the last look.
        func frames() throws -> [StreamFrame] {
            while var bytes = try channel.readOutbound(as: ByteBuffer.self) { received.writeBuffer(&bytes) }
            var frames: [StreamFrame] = []
            while let frame = try StreamFrameCoding.read(from: &received) { frames.append(frame) }
            return frames
        }
    }

    private let loop = EmbeddedEventLoop()
    private let id = StreamID(high: 1, low: 2)

    private func registry() -> StreamRegistry {
        StreamRegistry(limits: ConnectionLimits().stream(resume: .minutes(2)), on: loop, logger: quiet)
    }

    private func hello(
        _ purpose: StreamHello.Purpose, _ stream: StreamID? = nil, instance: UInt64 = 7, received: UInt64 = 0, window: UInt32 = 1 << 20
    ) -> StreamFrame {
        .hello(StreamHello(purpose: purpose, stream: stream ?? id, instance: instance, received: received, window: window))
    }

    private func isWelcome(_ frames: [StreamFrame]) -> Bool { if case .welcome? = frames.first { true } else { false } }

    private func refusal(_ frames: [StreamFrame]) -> StreamRefusal.Reason? {
        if case .refused(let refusal)? = frames.first { refusal.reason } else { nil }
    }

    @Test func aStreamGoesOnForItsOwnDeviceKeyAndProcessAlone() throws {
        let registry = registry()
        let first = try Peer(registry, loop)
        try first.send(hello(.open))
        #expect(isWelcome(try first.frames()))
        let stream = try #require(registry.streams(of: "a@x").first)
        for (device, key, instance) in [("b@x", "key-a", 7), ("a@x", "key-b", 7), ("a@x", "key-a", 8)] as [(String, String, UInt64)] {
            let thief = try Peer(registry, loop, device, key: key)
            try thief.send(hello(.resume, instance: instance))
            let answer = try thief.frames()
            #expect(refusal(answer) == .unknown && !thief.channel.isActive, "\(device) \(key) \(instance)")
            #expect(stream.path?.channel === first.channel && stream.isActive)
        }
        let next = try Peer(registry, loop)
        try next.send(hello(.resume))
        #expect(isWelcome(try next.frames()))
        #expect(stream.path?.channel === next.channel && !first.channel.isActive)
    }

    @Test func aPathWithoutAKeyIsRefused() throws {
        let registry = registry()
        let peer = try Peer(registry, loop, key: nil)
        try peer.send(hello(.open))
        let answer = try peer.frames()
        #expect(refusal(answer) == .denied && registry.streams(of: "a@x").isEmpty)
    }

    @Test(arguments: [1, UInt64.max]) func framesOfTheFutureAreRefusedAndThePathInUseStays(_ claimed: UInt64) throws {
        let registry = registry()
        let first = try Peer(registry, loop)
        try first.send(hello(.open))
        _ = try first.frames()
        let liar = try Peer(registry, loop)
        try liar.send(hello(.resume, received: claimed, window: .max))
        #expect(refusal(try liar.frames()) == .denied)
        #expect(registry.streams(of: "a@x").first?.path?.channel === first.channel)
        let new = try Peer(registry, loop)
        try new.send(hello(.open, StreamID(high: 3, low: 3), received: claimed))
        #expect(refusal(try new.frames()) == .denied)
    }

    @Test func confirmationsOfTheFutureEndThatStreamAndNoOther() throws {
        let registry = registry()
        let (bad, good) = (try Peer(registry, loop), try Peer(registry, loop, "b@x", key: "key-b"))
        try bad.send(hello(.open))
        try good.send(hello(.open, StreamID(high: 9, low: 9)))
        _ = try good.frames()
        try bad.send(.confirm(.max))
        #expect(!bad.channel.isActive && registry.streams(of: "a@x").isEmpty)
        try good.send(.ping(5))
        #expect(try good.frames().contains(.pong(5)))
    }

    @Test func bytesThatAreNoFramesEndThePath() throws {
        let registry = registry()
        let early = try Peer(registry, loop)
        try early.send(ByteBuffer(string: "GET / HTTP/1.1\r\n\r\n"))
        #expect(!early.channel.isActive)
        let late = try Peer(registry, loop)
        try late.send(hello(.open))
        try late.send(ByteBuffer(bytes: [0x11, 0xFF, 0xFF, 0xFF]))
        #expect(!late.channel.isActive && registry.streams(of: "a@x").isEmpty)
    }

    @Test func aPathThatIsNotGreetedIsClosedInTime() throws {
        let registry = registry()
        let peer = try Peer(registry, loop)
        loop.advanceTime(by: .seconds(19))
        #expect(peer.channel.isActive)
        loop.advanceTime(by: .seconds(2))
        #expect(!peer.channel.isActive)
    }

    @Test func whatCameBeforeIsForgottenThoughNoWriteEndsWithAFrame() throws {
        let registry = registry()
        let peer = try Peer(registry, loop)
        try peer.send(hello(.open))
        var ping = ByteBuffer()
        StreamFrameCoding.write(.ping(1), to: &ping)
        let (start, rest) = (try #require(ping.getSlice(at: 0, length: 5)), try #require(ping.getSlice(at: 5, length: 7)))
        var turn = rest
        turn.writeImmutableBuffer(start)
        try peer.send(start)
        for _ in 0..<10_000 { try peer.channel.writeInbound(turn) }
        let handler = try peer.channel.pipeline.syncOperations.handler(type: StreamPathHandler.self)
        #expect(peer.channel.isActive && handler.unread.readableBytes == 5 && handler.unread.storageCapacity < 1000)
    }

    /// Closes the channel while it is written to, as a socket does whose peer has gone.
    private final class Breaking: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer
        func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
            promise?.fail(ChannelError.ioOnClosedChannel)
            context.close(promise: nil)
        }
    }

    @Test func aStreamKnowsOfAPathThatBrokeUnderItsGreeting() throws {
        let registry = registry()
        let peer = try Peer(registry, loop)
        try peer.channel.pipeline.syncOperations.addHandler(Breaking(), position: .first)
        try peer.send(hello(.open))
        let stream = try #require(registry.streams(of: "a@x").first)
        #expect(stream.path == nil && !stream.machine.isAttached)
        // It goes on on another path, and else is given up in its time.
        let next = try Peer(registry, loop)
        try next.send(hello(.resume))
        #expect(isWelcome(try next.frames()) && stream.path?.channel === next.channel)
    }

    @Test func aProcessThatWasStartedAgainEndsTheStreamsOfTheOneBefore() throws {
        let registry = registry()
        let first = try Peer(registry, loop)
        try first.send(hello(.open))
        let other = try Peer(registry, loop, "b@x", key: "key-b")
        try other.send(hello(.open, StreamID(high: 9, low: 9)))
        let second = try Peer(registry, loop)
        try second.send(hello(.open, StreamID(high: 2, low: 2), instance: 8))
        let answer = try second.frames()
        #expect(!first.channel.isActive && isWelcome(answer))
        #expect(registry.streams(of: "a@x").count == 1 && registry.streams(of: "b@x").count == 1)
    }

    @Test func aDeviceHasFourStreamsAtMostAndOneWithoutAPathMakesRoom() throws {
        let registry = registry()
        var peers: [Peer] = []
        for number in 1...4 {
            peers.append(try Peer(registry, loop))
            try peers[number - 1].send(hello(.open, StreamID(high: 5, low: UInt64(number))))
        }
        let fifth = try Peer(registry, loop)
        try fifth.send(hello(.open, StreamID(high: 5, low: 5)))
        #expect(refusal(try fifth.frames()) == .full)
        try peers[0].channel.close().wait()
        let sixth = try Peer(registry, loop)
        try sixth.send(hello(.open, StreamID(high: 5, low: 6)))
        let answer = try sixth.frames()
        #expect(isWelcome(answer) && registry.streams(of: "a@x").count == 4)
    }

    @Test func theStreamsOfADeviceHoldTogetherWhatOneOfThemMay() throws {
        var limits = ConnectionLimits().stream(resume: .minutes(2))
        limits.receiving.message = 100_000
        limits.receiving.unfinishedBytes = 20_000
        let registry = StreamRegistry(limits: limits, on: loop, logger: quiet)
        func peer(_ number: UInt64, _ device: String = "a@x") throws -> Peer {
            let peer = try Peer(registry, loop, device, key: "key")
            try peer.send(hello(.open, StreamID(high: 5, low: number)))
            for stream in registry.streams(of: device) { stream.loggedIn() }
            return peer
        }
        func begin(_ bytes: Int) -> StreamFrame {
            .numbered(.begin(0, length: 90_000, StreamBytes(ByteBuffer(repeating: 0, count: bytes))))
        }
        let (first, second, third, other) = (try peer(1), try peer(2), try peer(3), try peer(4, "b@x"))
        try first.send(begin(60_000))
        try second.send(begin(60_000))
        try other.send(begin(60_000))
        #expect(first.channel.isActive && second.channel.isActive && other.channel.isActive)
        try third.send(begin(1000))
        #expect(!third.channel.isActive && first.channel.isActive && other.channel.isActive)
        // What is taken back, or ends with its stream, makes room.
        try first.send(.numbered(.drop(0)))
        let fourth = try peer(5)
        try fourth.send(begin(60_000))
        #expect(fourth.channel.isActive)
        for stream in registry.streams(of: "a@x") { stream.fail(QiError(.disconnected, "over")) }
        let (fifth, sixth) = (try peer(6), try peer(7))
        try fifth.send(begin(60_000))
        try sixth.send(begin(60_000))
        #expect(fifth.channel.isActive && sixth.channel.isActive)
    }
}
