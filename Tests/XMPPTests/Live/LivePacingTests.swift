import Foundation
import NIOCore
import NIOPosix
import QiMeshTesting
import Synchronization
import Testing

@testable import XMPP

/// Bulk and small things together on servers that slow their clients down as they are shipped. The usual run takes 12 s each, beside other
/// tests, and shows that nothing is lost and both come through; rates and delays are looked at when it is measured by hand, on a quiet
/// machine: `QIMESH_PACING_SECONDS=40`.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct LivePacingTests {
    private static let loop = MultiThreadedEventLoopGroup.singleton.next()
    private static let measured = ProcessInfo.processInfo.environment["QIMESH_PACING_SECONDS"].flatMap(Int64.init)
    private static let seconds = measured ?? 12

    /// What one measurement found, times in seconds.
    struct Findings: Sendable, CustomStringConvertible {
        /// Payload of the bulk stream that arrived, and when, since the start.
        var arrivals: [(at: Double, bytes: Int)] = []
        /// Delay of each echo, and of each ping of the bulk's sender to its server; what had not come back counts with its age.
        var echoes: [Double] = []
        var pings: [Double] = []
        var losses = 0
        var span = 0.0

        func rate(from start: Double) -> Double {
            Double(arrivals.filter { $0.at >= start }.reduce(0) { $0 + $1.bytes }) / max(span - start, 0.001)
        }

        static func percentile(_ part: Double, _ values: [Double]) -> Double {
            values.isEmpty ? 0 : values.sorted()[min(values.count - 1, Int(Double(values.count) * part))]
        }

        private func words(_ values: [Double]) -> String {
            let figures = [0.5, 0.95, 1].map { String(format: "%.2f", Findings.percentile($0, values)) }
            return "\(values.count), p50 \(figures[0]) p95 \(figures[1]) most \(figures[2]) s"
        }

        var description: String {
            let parts = stride(from: 0.0, to: span, by: max(span / 6, 1)).map { start in
                let bytes = arrivals.filter { $0.at >= start && $0.at < start + max(span / 6, 1) }.reduce(0) { $0 + $1.bytes }
                return String(format: "%.1f", Double(bytes) / max(span / 6, 1) / 1000)
            }
            return "bulk kB/s by sixths: \(parts.joined(separator: " ")), after 5 s \(String(format: "%.2f", rate(from: 5) / 1000)); "
                + "echoes \(words(echoes)); pings \(words(pings)); losses \(losses)"
        }
    }

    /// Writes as long as there is room.
    final class Source: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let piece = ByteBuffer(repeating: 0x5a, count: 4096)

        func channelActive(context: ChannelHandlerContext) { fill(context) }
        func channelWritabilityChanged(context: ChannelHandlerContext) { fill(context) }
        private func fill(_ context: ChannelHandlerContext) {
            while context.channel.isWritable { context.writeAndFlush(NIOAny(piece), promise: nil) }
        }
    }

    /// Counts what arrives.
    final class Sink: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let count: @Sendable (Int) -> Void
        init(_ count: @escaping @Sendable (Int) -> Void) { self.count = count }
        func channelRead(context: ChannelHandlerContext, data: NIOAny) { count(unwrapInboundIn(data).readableBytes) }
    }

    /// What runs in one measurement, and what it finds.
    final class Measurement: Sendable {
        private let start = NIODeadline.now()
        private let found = Mutex(Findings())
        private let sent = Mutex<[Double]>([])
        private let asked = Mutex<[Int: Double]>([:])

        private var elapsed: Double { Double((NIODeadline.now() - start).nanoseconds) / 1e9 }

        func arrived(_ bytes: Int) {
            let now = elapsed
            found.withLock { $0.arrivals.append((now, bytes)) }
        }

        /// So many bytes of echoes came back, 64 each.
        func echoed(_ bytes: Int) {
            for _ in 0..<bytes / 64 {
                let delay = elapsed - sent.withLock { $0.removeFirst() }
                found.withLock { $0.echoes.append(delay) }
            }
        }

        /// Sends one small thing on the channel, and one ping from that client to its server.
        func tick(_ number: Int, _ echo: any Channel, _ client: XMPPClient, _ server: JID) {
            let now = elapsed
            sent.withLock { $0.append(now) }
            echo.writeAndFlush(ByteBuffer(repeating: 1, count: 64), promise: nil)
            asked.withLock { $0[number] = now }
            client.host.enqueue { session in
                session.request(server, .get, PingExtension.question, timeout: .seconds(60)) { [self] _ in
                    guard let since = asked.withLock({ $0.removeValue(forKey: number) }) else { return }
                    let delay = elapsed - since
                    found.withLock { $0.pings.append(delay) }
                }
            }
        }

        /// Whether bulk has come, and an echo and a ping came back: on a machine under load that takes longer than the usual run.
        var isComplete: Bool { found.withLock { !$0.arrivals.isEmpty && !$0.echoes.isEmpty && !$0.pings.isEmpty } }

        /// It is over: what has not come back counts with its age. `losses`: of the connections while it ran.
        func end(losses: Int) -> Findings {
            let span = elapsed
            return found.withLock { found in
                found.span = span
                found.echoes += sent.withLock { $0.map { span - $0 } }
                found.pings += asked.withLock { $0.values.map { span - $0 } }
                found.losses = losses
                return found
            }
        }

        /// How often these have lost their connections so far.
        static func losses(_ parties: [Party]) -> Int {
            parties.reduce(0) { $0 + $1.events.all.count { if case .state(.waiting) = $0 { true } else { false } } }
        }
    }

    private static func accept(_ name: String, at party: Party, _ handler: @escaping @Sendable () -> any ChannelHandler) {
        party.client.setBytestreamHandler(applicationNamespace: "urn:test:\(name)", on: loop) { _ in
            .accept { channel in channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(handler()) } }
        }
    }

    private static func open(
        _ name: String, _ from: Party, to: Party, _ handlers: @escaping @Sendable () -> [any ChannelHandler]
    ) async throws -> any Channel {
        try await from.client.openBytestream(
            to: to.full(), application: Element("description", namespace: "urn:test:\(name)"), on: loop, timeout: .seconds(100)
        ) { channel in
            channel.eventLoop.makeCompletedFuture {
                for handler in handlers() { try channel.pipeline.syncOperations.addHandler(handler) }
            }
        }
    }

    /// Both streams run from pepper, whose uplink is measured; with `bothWays` desk sends bulk of its own.
    private static func measure(at server: some LiveServer, bothWays: Bool) async throws -> Findings {
        let found = Mutex(Findings())
        try await withFriends(at: server) { desk, pepper in
            accept("bulk", at: pepper) { Source() }
            accept("echo", at: pepper) { LiveBytestreamTests.Echo() }
            let measurement = Measurement()
            // On a machine under load the first connection may not get through.
            let before = Measurement.losses([desk, pepper])
            let echo = try await open("echo", desk, to: pepper) { [Sink { measurement.echoed($0) }] }
            _ = try await open("bulk", desk, to: pepper) { [Sink { measurement.arrived($0) }] + (bothWays ? [Source()] : []) }
            let over = loop.makePromise(of: Void.self)
            let server = try #require(JID(pepper.jid.domain))
            let count = Atomic(0)
            let ticks = loop.scheduleRepeatedTask(initialDelay: .zero, delay: .seconds(1)) { _ in
                measurement.tick(count.add(1, ordering: .relaxed).newValue, echo, pepper.client, server)
            }
            let end = NIODeadline.now() + .seconds(seconds)
            loop.scheduleRepeatedTask(initialDelay: .seconds(seconds), delay: .seconds(1)) { task in
                guard measurement.isComplete || NIODeadline.now() - end > .seconds(120) else { return }
                task.cancel()
                ticks.cancel()
                over.succeed(())
            }
            try await over.futureResult.get()
            let isComplete = measurement.isComplete
            #expect(isComplete)
            let result = measurement.end(losses: Measurement.losses([desk, pepper]) - before)
            found.withLock { $0 = result }
        }
        return found.withLock { $0 }
    }

    private static let accounts = [("pepper", "secret"), ("desk", "secret")]

    private static func prosody() throws -> ProsodyServer {
        try ProsodyServer.start(
            accounts: accounts, extraConfig: #"limits = { c2s = { rate = "10kb/s" }, s2sin = { rate = "30kb/s" } }"#, modules: ["limits"])
    }

    @Test(arguments: [false, true])
    func smallThingsPassBulkOnAProsodyWithItsStockLimits(bothWays: Bool) async throws {
        let found = try await Self.measure(at: Self.prosody(), bothWays: bothWays)
        print("Prosody, both ways \(bothWays): \(found)")
        #expect(found.losses == 0 && found.rate(from: 0) > 0)
        guard Self.measured != nil else { return }
        // 7.5 kB/s of payload are what the server lets through in one direction.
        #expect(bothWays || found.rate(from: 2) >= 0.7 * 7500, "\(found)")
        // With bulk both ways an echo waits in two uplinks.
        #expect(Findings.percentile(0.95, found.echoes) <= (bothWays ? 3 : 2), "\(found)")
    }

    @Test(arguments: [false, true])
    func smallThingsPassBulkOnAnEjabberdWithItsStockShaper(bothWays: Bool) async throws {
        let found = try await Self.measure(at: EjabberdServer.start(accounts: Self.accounts, isShaped: true), bothWays: bothWays)
        print("ejabberd, both ways \(bothWays): \(found)")
        #expect(found.losses == 0 && found.rate(from: 0) > 0)
        guard Self.measured != nil else { return }
        // 2.2 kB/s of payload are what the server lets through in one direction, after a burst; the echo and the pings of each second take
        // a sixth of that for their stanzas.
        #expect(bothWays || found.rate(from: 5) >= 0.6 * 2200, "\(found)")
        #expect(Findings.percentile(0.95, found.echoes) <= (bothWays ? 6 : 4), "\(found)")
    }

    /// The bytes of a handshake, one flight after the other: 600 there, 1500 back, 1500 there, 100 back.
    final class Handshake: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private static let flights = [600, 1500, 1500, 100]
        private let begins: Bool
        private let done: EventLoopPromise<Void>?
        private var flight = 0
        private var received = 0

        init(begins: Bool, done: EventLoopPromise<Void>?) {
            self.begins = begins
            self.done = done
        }

        private func send(_ context: ChannelHandlerContext) {
            context.writeAndFlush(NIOAny(ByteBuffer(repeating: 0x5a, count: Handshake.flights[flight])), promise: nil)
            flight += 1
        }

        func channelActive(context: ChannelHandlerContext) { if begins { send(context) } }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            received += unwrapInboundIn(data).readableBytes
            guard flight < 4, received >= Handshake.flights[flight] else { return }
            received = 0
            flight += 1
            if flight < 4 { send(context) } else { done?.succeed(()) }
        }

        func channelInactive(context: ChannelHandlerContext) { done?.fail(XMPPError(.streamClosed, "closed in flight \(flight)")) }
    }

    /// Eight, and thirty when measured by hand: to two contacts, for one may have sixteen.
    @Test func manyTunnelsAtOnceAreAllSetUpOnAnEjabberdWithItsStockShaper() async throws {
        let count = Self.seconds < 20 ? 8 : 30
        let server = try EjabberdServer.start(accounts: Self.accounts + [("nao", "secret")], isShaped: true)
        defer { server.stop() }
        let parties = try ["pepper", "nao", "desk"].map { try Party($0, at: server) }
        let (pepper, nao, desk) = (parties[0], parties[1], parties[2])
        try await pepper.running {
            try await nao.running {
                try await desk.running {
                    for other in [pepper, nao] {
                        Self.accept("tunnel", at: other) { Handshake(begins: false, done: nil) }
                        try await desk.befriend(other)
                    }
                    let times = try await Self.tunnels(count, from: desk, to: [pepper, nao])
                    print("\(count) tunnels: \(times.map { "\($0.components.seconds)" }.joined(separator: " ")) s")
                    #expect(times.count == count)
                }
            }
        }
    }

    /// Opens so many at once; when each was there, since the start.
    private static func tunnels(_ count: Int, from desk: Party, to others: [Party]) async throws -> [Duration] {
        let start = ContinuousClock.now
        return try await withThrowingTaskGroup(of: Duration.self) { group in
            for index in 0..<count {
                group.addTask {
                    let done = loop.makePromise(of: Void.self)
                    do {
                        _ = try await open("tunnel", desk, to: others[index % others.count]) { [Handshake(begins: true, done: done)] }
                    } catch {
                        done.fail(error)
                    }
                    try await done.futureResult.get()
                    return ContinuousClock.now - start
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
    }
}
