import NIOCore
import NIOEmbedded
import NIOPosix
@testable import QiMessaging
import QiWire
import Synchronization
import Testing

/// What a relay and its connections hold on behalf of others is bounded, and what was sent is not held against anybody.
@Suite(.timeLimit(.minutes(8))) struct RelayLimitTests {
    /// A channel that is always busy never says that it is writable; its peer reads all the same.
    @Test func aBusyPeerIsNoStalledPeer() throws {
        let channel = EmbeddedChannel()
        let bus = Bus(executor: LoopExecutor(channel.embeddedEventLoop), logger: quiet)
        var limits = ConnectionLimits()
        limits.maximumOutboundBytes = 1 << 20
        let connection = try QiPipeline.install(
            on: channel, bus: bus, role: .client, origin: .process, owner: nil, limits: limits)
        channel.isWritable = false
        let payload = ByteBuffer(repeating: 0, count: 300_000)
        for _ in 0..<20 {
            connection.post(ActionAddress(.serviceDirectory, action: 100), payload)
            connection.flush()
            while try channel.readOutbound(as: ByteBuffer.self) != nil {}
            #expect(connection.backlog <= 300_100)
        }
        #expect(!connection.isClosed)
        _ = try channel.finish(acceptAlreadyClosed: true)
    }

    /// One that was closed before it was active ends too: whoever waits for it is told.
    @Test func aConnectionThatNeverBeganEnds() throws {
        let channel = EmbeddedChannel()
        let bus = Bus(executor: LoopExecutor(channel.embeddedEventLoop), logger: quiet)
        let connection = try QiPipeline.install(
            on: channel, bus: bus, role: .client, origin: .process, owner: nil, limits: ConnectionLimits())
        var failure: QiError?
        connection.whenOpen { if case .failure(let error) = $0 { failure = error } }
        _ = try channel.finish(acceptAlreadyClosed: true)
        #expect(failure?.code == .disconnected)
        #expect(connection.isClosed)
    }

    /// A node that is to stop does not wait for a back-off of a minute.
    @Test func aShutdownEndsPauses() async throws {
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)
        let isOver = Mutex(false)
        let begun = AsyncStream.makeStream(of: Void.self)
        try await loop.run { (bus) async throws(QiError) in
            bus.enqueue {
                begun.continuation.finish()
                await bus.pause(.hours(1))
                isOver.withLock { $0 = true }
            }
        }
        for await _ in begun.stream {}
        await loop.shutDown()
        #expect(isOver.withLock { $0 })
    }

    @Test func postsThatRunAreBounded() async throws {
        var limits = ConnectionLimits()
        limits.maximumCallsInFlight = 2
        let started = AsyncStream.makeStream(of: Int.self)
        let gate = AsyncStream.makeStream(of: Void.self)
        let count = Mutex(0)
        var builder = ObjectBuilder()
        builder.advertiseMethod("wait", "()") { _, _ in
            started.continuation.yield(count.withLock { $0 += 1; return $0 })
            for await _ in gate.stream {}
            return .void
        }
        try await withDirectory(limits: limits) { directory, endpoint in
            _ = try await directory.register(builder, as: "Slow")
            try await withClient(endpoint) { client in
                let slow = ObjectAddress.main(ofService: try await client.lookUp("Slow"))
                for id in UInt32(1)...10 {
                    let post = try Message.post(ActionAddress(slow, action: 100), id: id)
                    try await client.send(post)
                }
                // Behind the posts: each has been taken or dropped by now.
                try await client.expectAlive()
                gate.continuation.finish()
                var running = started.stream.makeAsyncIterator()
                #expect(await running.next() == 1)
                #expect(await running.next() == 2)
            }
        }
        // The directory is gone, and with it all that ran.
        #expect(count.withLock { $0 } == 2)
    }

    @Test func theDirectorysOwnNameIsTaken() {
        var table = DirectoryTable()
        let info = ServiceInfo(
            name: "ServiceDirectory", machineID: "m", processID: 1, endpoints: [], sessionID: "s", objectUID: [])
        #expect(throws: QiError.self) { try table.register(info, owner: .process) }
    }
}
