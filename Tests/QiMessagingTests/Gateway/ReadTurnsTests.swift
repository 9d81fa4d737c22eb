import Logging
import NIOCore
import NIOEmbedded
@testable import QiMessaging
import Testing

/// Connections that take turns: each 2 KB piece costs 100 us of a clock that stands still otherwise.
@Suite struct ReadTurnsTests {
    private final class Clock { var now = NIODeadline.uptimeNanoseconds(1_000_000) }

    private final class Sink: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        let clock: Clock
        var bytes: [UInt8] = []
        var completions = 0
        init(_ clock: Clock) { self.clock = clock }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            bytes += unwrapInboundIn(data).readableBytesView
            clock.now = clock.now + .microseconds(100)
        }

        func channelReadComplete(context: ChannelHandlerContext) { completions += 1 }
    }

    private final class Door {
        let loop = EmbeddedEventLoop()
        let clock = Clock()
        let turns: ReadTurns

        init() {
            let bus = Bus(executor: LoopExecutor(loop), logger: Logger(label: "turns", factory: { _ in SwiftLogNoOpLogHandler() }))
            turns = ReadTurns(bus, clock: { [clock] in clock.now })
        }

        func client(_ place: UInt8, isProven: Bool = true) throws -> (channel: EmbeddedChannel, sink: Sink, handler: ReadTurnHandler) {
            let channel = EmbeddedChannel(loop: loop)
            let (handler, sink) = (ReadTurnHandler(turns, place: [place]), Sink(clock))
            try channel.pipeline.syncOperations.addHandlers([handler, sink])
            try channel.connect(to: SocketAddress(ipAddress: "10.0.0.\(place)", port: 1)).wait()
            handler.isProven = isProven
            return (channel, sink, handler)
        }

        /// The next round, when its time has come.
        func round() {
            clock.now = clock.now + .microseconds(100)
            loop.advanceTime(to: clock.now)
        }
    }

    private func send(_ count: Int, _ byte: UInt8, to channel: EmbeddedChannel) {
        channel.pipeline.fireChannelRead(ByteBuffer(repeating: byte, count: count))
        channel.pipeline.fireChannelReadComplete()
    }

    @Test func littleIsPassedOnAtOnce() throws {
        let door = Door()
        let (channel, sink, _) = try door.client(1)
        send(1000, 7, to: channel)
        #expect(sink.bytes == [UInt8](repeating: 7, count: 1000) && sink.completions == 1)
        #expect(door.turns.counts.waiting == 0)
        _ = try channel.finish()
        #expect(door.turns.counts == (0, 0, 0))
    }

    @Test func muchIsPassedOnInTurns() throws {
        let door = Door()
        let (channel, sink, handler) = try door.client(1)
        var sent: [UInt8] = []
        for byte in UInt8(0)..<16 {
            let part = [UInt8](repeating: byte, count: 8192)
            sent += part
            channel.pipeline.fireChannelRead(ByteBuffer(bytes: part))
        }
        channel.pipeline.fireChannelReadComplete()
        // A millisecond of it.
        #expect(sink.bytes.count == 10 * 2048 && handler.holdsBytes)
        var rounds = 0
        while handler.holdsBytes, rounds < 100 {
            door.round()
            rounds += 1
        }
        #expect(sink.bytes == sent && rounds > 3)
    }

    @Test func whoSendsMuchDoesNotHoldUpAnother() throws {
        let door = Door()
        let (flood, _, _) = try door.client(1)
        let (quiet, sink, _) = try door.client(2)
        for number in 1...200 {
            send(1 << 16, 1, to: flood)
            send(100, 2, to: quiet)
            if sink.bytes.count < 100 * number { door.round() }
            #expect(sink.bytes.count == 100 * number)
            door.round()
        }
    }

    /// Whoever is accepted at a gate does, and nobody elsewhere.
    @Test(arguments: [true, false]) func whoComesInAtAGateTakesTurns(_ isGate: Bool) throws {
        let loop = EmbeddedEventLoop()
        let bus = Bus(executor: LoopExecutor(loop), logger: quiet)
        var setup = QiPipeline.Setup(
            endpoint: try #require(Endpoint("tcp://127.0.0.1:9503")), transports: TransportSet(), owner: nil, limits: ConnectionLimits())
        if isGate { setup.gate = NIOLoopBound(ListenerGate(bus: bus, ListenerRules(zone: .internet)), eventLoop: loop) }
        let channel = EmbeddedChannel(loop: loop)
        _ = try QiPipeline.install(on: channel, setup, bus: bus, role: .server).wait()
        let pipeline = channel.pipeline.syncOperations
        let takesTurns = (try? pipeline.context(handlerType: ReadTurnHandler.self)) != nil
        #expect(takesTurns == isGate)
        try channel.close().wait()
    }

    @Test func theUnprovenDoNotHoldUpTheProvenOfTheirOwnPlace() throws {
        let door = Door()
        let crowd = try (0..<20).map { _ in try door.client(1, isProven: false) }
        let (known, sink, _) = try door.client(1)
        for client in crowd { send(1 << 16, 1, to: client.channel) }
        send(100, 2, to: known)
        // The place's share is used up: it waits for that, and not for the others.
        for _ in 0..<20 where sink.bytes.isEmpty { door.round() }
        #expect(sink.bytes.count == 100)
        #expect(crowd.filter(\.handler.holdsBytes).count > 10)
    }

    @Test func nothingMoreIsReadMeanwhile() throws {
        let door = Door()
        let (channel, _, handler) = try door.client(1)
        final class Reads: ChannelOutboundHandler {
            typealias OutboundIn = IOData
            var count = 0
            func read(context: ChannelHandlerContext) {
                count += 1
                context.read()
            }
        }
        let reads = Reads()
        try channel.pipeline.syncOperations.addHandler(reads, position: .first)
        send(1 << 16, 1, to: channel)
        #expect(handler.holdsBytes)
        let before = reads.count
        channel.pipeline.read()
        #expect(reads.count == before)
        while handler.holdsBytes { door.round() }
        #expect(reads.count == before + 1)
    }

    @Test(arguments: [true, false]) func whatIsLeftAtTheEnd(isProven: Bool) throws {
        let door = Door()
        let (channel, sink, _) = try door.client(1, isProven: isProven)
        send(1 << 16, 1, to: channel)
        #expect(sink.bytes.count < 1 << 16)
        let passed = sink.bytes.count
        try channel.close().wait()
        door.loop.run()
        #expect(sink.bytes.count == (isProven ? 1 << 16 : passed))
        door.round()
        #expect(door.turns.counts == (0, 0, 0))
    }
}
