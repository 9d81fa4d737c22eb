import Logging
import NIOCore
import NIOEmbedded
@testable import QiMessaging
import QiWire
import Testing

/// How much of one burst is taken in one piece.
@Suite struct BurstTurnTests {
    private final class Clock { var now = NIODeadline.uptimeNanoseconds(1_000_000) }

    @Test(arguments: [(BurstTurn.Bounds.judged, 64), (.trusted, 1024)])
    func aTurnEndsAfterSoManyFrames(_ bounds: BurstTurn.Bounds, _ most: Int) {
        let clock = Clock()
        var turn = BurstTurn(at: clock.now, bounds)
        for _ in 0..<most - 1 { turn.took(0) { clock.now } }
        #expect(!turn.isOver)
        turn.took(0) { clock.now }
        #expect(turn.isOver)
    }

    /// Every frame costs 10 us: the clock is looked at after sixteen short ones, or one long one.
    @Test(arguments: [(0, 512), (1024, 512), (16_384, 500), (1 << 20, 500)])
    func aTurnEndsAfterItsTime(_ bytes: Int, _ expected: Int) {
        let clock = Clock()
        var turn = BurstTurn(at: clock.now, .trusted)
        var frames = 0
        while !turn.isOver, frames < 10_000 {
            clock.now = clock.now + .microseconds(10)
            turn.took(bytes) { clock.now }
            frames += 1
        }
        #expect(frames == expected)
    }

    /// The clock is looked at after eight: 56 frames of 10 us.
    @Test func aJudgedTurnEndsAfterHalfAMillisecond() {
        let clock = Clock()
        var turn = BurstTurn(at: clock.now, .judged)
        var frames = 0
        while !turn.isOver, frames < 10_000 {
            clock.now = clock.now + .microseconds(10)
            turn.took(0) { clock.now }
            frames += 1
        }
        #expect(frames == 56)
    }

    @Test func theClockIsReadOncePerSixteenShortFrames() {
        var looks = 0
        var turn = BurstTurn(at: .now(), .trusted)
        for _ in 0..<160 {
            turn.took(100) {
                looks += 1
                return .uptimeNanoseconds(0)
            }
        }
        #expect(looks == 10)
    }

    // MARK: - Connections

    private final class Count: @unchecked Sendable {
        // On the one thread of the loop.
        var value = 0 { didSet { took() } }
        var took: () -> Void = {}
    }

    /// Hands on all of a burst in one piece, as TLS does with what it decrypted.
    private final class Gatherer: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias InboundOut = ByteBuffer
        private var gathered = ByteBuffer()

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var bytes = unwrapInboundIn(data)
            gathered.writeBuffer(&bytes)
        }

        func channelReadComplete(context: ChannelHandlerContext) {
            if gathered.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(gathered)) }
            gathered.clear()
            context.fireChannelReadComplete()
        }
    }

    /// A directory on a loop whose time stands still, with two connections.
    private final class Bench {
        let loop = EmbeddedEventLoop()
        let bus: Bus
        let directory: ServiceDirectory
        private var channels: [EmbeddedChannel] = []
        private(set) var connections: [Connection] = []
        private var decoders: [ObjectIdentifier: MessageDecoder] = [:]

        init() throws {
            bus = Bus(executor: LoopExecutor(loop), logger: Logger(label: "turns", factory: { _ in SwiftLogNoOpLogHandler() }))
            directory = ServiceDirectory(bus: bus, machineID: "machine")
            bus.executor.onIdle(wake: { [unowned bus] in bus.pool.callWorker() }, idle: { [unowned bus] in bus.flushDirty() })
        }

        /// A service, 2, whose method 100 counts.
        ///
        /// - Parameter clock: that of turns, on which a call takes two milliseconds.
        func counter(_ clock: Clock? = nil) throws -> Count {
            let count = Count()
            if let clock { count.took = { clock.now = clock.now + .milliseconds(2) } }
            var object = ObjectBuilder()
            object.advertise(immediateMethod: "count", parameters: [], returns: .void) { _ in count.value += 1 }
            directory.register(object.makeObject(on: bus), as: "Count") { _ in }
            return count
        }

        /// - Parameter turns: those of the gateway that it comes in by.
        func client(_ turns: ReadTurns? = nil, place: UInt8 = 0) throws -> EmbeddedChannel {
            let channel = EmbeddedChannel(loop: loop)
            channels.append(channel)
            let connection = try QiPipeline.install(
                on: channel, bus: bus, role: .server, origin: .tcp(host: "127.0.0.1"), owner: directory, limits: ConnectionLimits()
            )
            connections.append(connection)
            if let turns {
                let handler = ReadTurnHandler(turns, place: [place])
                handler.isProven = true
                handler.connection = connection
                connection.turnGiver = handler
                try channel.pipeline.syncOperations.addHandlers([handler, Gatherer()], position: .first)
            }
            try channel.connect(to: SocketAddress(unixDomainSocketPath: "/turns")).wait()
            var payload = ByteBuffer()
            try Capabilities.ours.write(to: &payload)
            var bytes = ByteBuffer()
            bytes.writeMessage(Message(kind: .call, id: 1, address: .authenticate, payload: payload))
            send(bytes, to: channel)
            #expect(try answers(of: channel).count == 1)
            return channel
        }

        /// Nothing may be left that the loop would still do.
        func end() throws {
            bus.shutDown()
            loop.run()
            for channel in channels { _ = try channel.finish(acceptAlreadyClosed: true) }
        }

        func send(_ bytes: ByteBuffer, to channel: EmbeddedChannel) {
            channel.pipeline.fireChannelRead(bytes)
            channel.pipeline.fireChannelReadComplete()
            loop.run()
        }

        func answers(of channel: EmbeddedChannel) throws -> [UInt32] {
            var decoder = decoders[ObjectIdentifier(channel)] ?? MessageDecoder()
            var ids: [UInt32] = []
            while let bytes = try channel.readOutbound(as: ByteBuffer.self) {
                decoder.append(bytes)
                while let message = try decoder.next() { ids.append(message.id) }
            }
            decoders[ObjectIdentifier(channel)] = decoder
            return ids
        }

        /// Of the method that ``counter(_:)`` counts.
        func posts(_ ids: Range<UInt32>) -> ByteBuffer {
            var bytes = ByteBuffer()
            for id in ids {
                bytes.writeMessage(Message(kind: .post, id: id, address: ActionAddress(service: 2, object: 1, action: 100)))
            }
            return bytes
        }

        /// Ten minutes at the most.
        func pass(_ clock: Clock, until isDone: () -> Bool) {
            for _ in 0..<6000 where !isDone() {
                clock.now = clock.now + .milliseconds(100)
                loop.advanceTime(to: clock.now)
            }
        }

        func calls(_ ids: Range<UInt32>) -> ByteBuffer {
            var bytes = ByteBuffer()
            let address = ActionAddress(.serviceDirectory, action: WellKnownActions.machineID)
            for id in ids { bytes.writeMessage(Message(kind: .call, id: id, address: address)) }
            return bytes
        }
    }

    @Test func aBurstLeavesTheLoopToOthersAndIsServedInOrder() throws {
        let bench = try Bench()
        let (busy, other) = (try bench.client(), try bench.client())
        let count: UInt32 = 10_000
        bench.send(bench.calls(10..<10 + count), to: busy)
        var served = try bench.answers(of: busy)
        #expect(!served.isEmpty && served.count <= BurstTurn.Bounds.trusted.frames, "\(served.count) in one piece")
        #expect(bench.bus.turns.count == 1)
        // The rest waits; another connection does not.
        bench.send(bench.calls(10..<11), to: other)
        #expect(try bench.answers(of: other) == [10])
        // More of the same peer comes behind what waits.
        bench.send(bench.calls(10 + count..<20 + count), to: busy)
        #expect(try bench.answers(of: busy).isEmpty)
        var turns = 0
        while served.count < Int(count) + 10, turns < 20_000 {
            bench.loop.advanceTime(by: TurnQueue.pause)
            let more = try bench.answers(of: busy)
            #expect(more.count <= BurstTurn.Bounds.trusted.frames)
            served += more
            turns += 1
        }
        #expect(served == Array(10..<20 + count))
        #expect(bench.bus.turns.count == 0)
        try bench.end()
    }

    /// In turns as well: as much as the system keeps for a socket may be there at its end.
    @Test func postsBeforeTheEndAreAllTakenInTurns() throws {
        let bench = try Bench()
        let count = try bench.counter()
        let client = try bench.client()
        bench.send(bench.posts(10..<5010), to: client)
        #expect(count.value > 0 && count.value <= BurstTurn.Bounds.trusted.frames)
        let connection = try #require(bench.connections.last)
        try client.close().wait()
        var turns = 0
        while count.value < 5000, turns < 100 {
            let before = count.value
            #expect(!connection.isClosed)
            bench.loop.advanceTime(by: TurnQueue.pause)
            #expect(count.value - before <= BurstTurn.Bounds.trusted.frames)
            turns += 1
        }
        #expect(count.value == 5000 && turns > 3)
        #expect(connection.isClosed)
        try bench.end()
    }

    /// At a gateway: what a frame takes is charged to the place, also that of frames that were left for later.
    @Test func framesLeftForLaterAreChargedToTheirPlace() throws {
        let (bench, clock) = (try Bench(), Clock())
        let turns = ReadTurns(bench.bus, clock: { clock.now })
        let count = try bench.counter(clock)
        let (busy, other) = (try bench.client(turns, place: 1), try bench.client(turns, place: 2))
        bench.send(bench.posts(10..<5010), to: busy)
        let first = count.value
        #expect(first > 0 && first <= BurstTurn.Bounds.trusted.frames && bench.bus.turns.count == 0)
        // It owes a tenth of a second at least, however few are taken before the real clock ends a turn: the other one is served meanwhile.
        for id in UInt32(10)..<20 {
            clock.now = clock.now + .microseconds(100)
            bench.loop.advanceTime(to: clock.now)
            bench.send(bench.calls(id..<id + 1), to: other)
            #expect(try bench.answers(of: other) == [id])
        }
        #expect(count.value == first)
        bench.pass(clock, until: { count.value == 5000 })
        #expect(count.value == 5000)
        try bench.end()
    }

    /// Else a client would get around its place's share by ending its connections.
    @Test func whatIsLeftAtTheEndIsChargedToItsPlaceToo() throws {
        let (bench, clock) = (try Bench(), Clock())
        let turns = ReadTurns(bench.bus, clock: { clock.now })
        let count = try bench.counter(clock)
        let (busy, other) = (try bench.client(turns, place: 1), try bench.client(turns, place: 2))
        bench.send(bench.posts(10..<5010), to: busy)
        let first = count.value
        try busy.close().wait()
        bench.loop.run()
        #expect(first > 0 && count.value == first && bench.bus.turns.count == 0 && turns.counts.connected == 2)
        bench.send(bench.calls(10..<11), to: other)
        #expect(try bench.answers(of: other) == [10])
        bench.pass(clock, until: { count.value == 5000 })
        #expect(count.value == 5000 && turns.counts.connected == 1)
        try bench.end()
    }

    /// What arrives while a connection is held is neither passed on nor lost.
    @Test func aConnectionThatIsHeldGetsNothingMore() throws {
        let bench = try Bench()
        let turns = ReadTurns(bench.bus)
        let count = try bench.counter()
        let client = try bench.client(turns, place: 1)
        let connection = try #require(bench.connections.last)
        connection.holdReading(for: .milliseconds(100))
        for _ in 0..<4 { bench.send(bench.posts(10..<1010), to: client) }
        #expect(count.value == 0 && !connection.decoder.hasUnsplitBytes && turns.counts.waiting == 0)
        // The time is the system's.
        let start = NIODeadline.now()
        for time in Int64(1)...1000 where count.value < 4000 { bench.loop.advanceTime(to: start + .seconds(1) + .milliseconds(time)) }
        #expect(count.value == 4000)
        try bench.end()
    }

    @Test func thoseWhoWaitGoOnInTurn() throws {
        let bench = try Bench()
        let clients = try (0..<3).map { _ in try bench.client() }
        for client in clients { bench.send(bench.calls(10..<5010), to: client) }
        var served = try clients.map { try bench.answers(of: $0).count }
        #expect(bench.bus.turns.count == 3)
        // The first goes on first; others with it, as long as there is time.
        bench.loop.advanceTime(by: TurnQueue.pause)
        let first = try bench.answers(of: clients[0]).count
        #expect(first > 0)
        served[0] += first
        for _ in 0..<2 { bench.loop.advanceTime(by: TurnQueue.pause) }
        for (place, client) in clients.enumerated() {
            let before = served[place]
            served[place] += try bench.answers(of: client).count
            #expect(place == 0 || served[place] > before, "connection \(place) still waits")
        }
        try bench.end()
    }

    @Test func aConnectionThatEndsWhileItWaitsHoldsNobodyUp() throws {
        let bench = try Bench()
        let (gone, other) = (try bench.client(), try bench.client())
        bench.send(bench.calls(10..<5010), to: gone)
        bench.send(bench.calls(10..<1100), to: other)
        try gone.close().wait()
        var count = try bench.answers(of: other).count
        for _ in 0..<2000 where count < 1090 {
            bench.loop.advanceTime(by: TurnQueue.pause)
            count += try bench.answers(of: other).count
        }
        #expect(count == 1090)
        for _ in 0..<100 where bench.bus.turns.count > 0 { bench.loop.advanceTime(by: TurnQueue.pause) }
        #expect(bench.bus.turns.count == 0)
        try bench.end()
    }
}
