import Foundation
import NIOCore
import NIOPosix
import QiMeshTesting
import Synchronization
import Testing

@testable import XMPP

/// Bulk and small things together on servers that slow their clients down as they are shipped. `QIMESH_PACING_SECONDS` makes each
/// measurement longer than the 12 s of the usual run.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct LivePacingTests {
    private static let loop = MultiThreadedEventLoopGroup.singleton.next()
    private static let seconds = ProcessInfo.processInfo.environment["QIMESH_PACING_SECONDS"].flatMap(Int64.init) ?? 12

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

    /// Both streams run from pepper, whose uplink is measured; with `bothWays` desk sends bulk of its own.
    private static func measure(at server: some LiveServer, bothWays: Bool) async throws -> Findings {
        let found = Mutex(Findings())
        try await withFriends(at: server) { desk, pepper in
            pepper.client.setBytestreamHandler(applicationNamespace: "urn:test:bulk", on: loop) { _ in
                .accept { channel in
                    channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Source()) }
                }
            }
            pepper.client.setBytestreamHandler(applicationNamespace: "urn:test:echo", on: loop) { _ in
                .accept { channel in
                    channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(LiveBytestreamTests.Echo()) }
                }
            }
            let target = try pepper.full()
            let start = NIODeadline.now()
            let elapsed: @Sendable () -> Double = { Double((NIODeadline.now() - start).nanoseconds) / 1e9 }
            let sent = Mutex<[Double]>([])
            let echo = try await desk.client.openBytestream(
                to: target, application: Element("description", namespace: "urn:test:echo"), on: loop
            ) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        Sink { bytes in
                            for _ in 0..<bytes / 64 {
                                let first = sent.withLock { $0.removeFirst() }
                                let now = elapsed()
                                found.withLock { $0.echoes.append(now - first) }
                            }
                        })
                }
            }
            _ = try await desk.client.openBytestream(
                to: target, application: Element("description", namespace: "urn:test:bulk"), on: loop
            ) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        Sink { bytes in
                            let now = elapsed()
                            found.withLock { $0.arrivals.append((now, bytes)) }
                        })
                    if bothWays { try channel.pipeline.syncOperations.addHandler(Source()) }
                }
            }
            let asked = Mutex<[UInt64: Double]>([:])
            let over = loop.makePromise(of: Void.self)
            let server = try #require(JID(pepper.jid.domain))
            let ticks = loop.scheduleRepeatedTask(initialDelay: .zero, delay: .seconds(1)) { _ in
                let now = elapsed()
                sent.withLock { $0.append(now) }
                echo.writeAndFlush(ByteBuffer(repeating: 1, count: 64), promise: nil)
                pepper.client.host.enqueue { session in
                    let number = UInt64(now * 1000)
                    asked.withLock { $0[number] = now }
                    session.request(server, .get, PingExtension.question, timeout: .seconds(60)) { _ in
                        guard let since = asked.withLock({ $0.removeValue(forKey: number) }) else { return }
                        let now = elapsed()
                        found.withLock { $0.pings.append(now - since) }
                    }
                }
            }
            loop.scheduleTask(in: .seconds(seconds)) {
                ticks.cancel()
                over.succeed(())
            }
            try await over.futureResult.get()
            let span = elapsed()
            found.withLock { found in
                found.span = span
                found.echoes += sent.withLock { $0.map { span - $0 } }
                found.pings += asked.withLock { $0.values.map { span - $0 } }
                for party in [desk, pepper] {
                    found.losses += party.events.all.filter { if case .state(.waiting) = $0 { true } else { false } }.count
                }
            }
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
        #expect(found.losses == 0)
    }

    @Test(arguments: [false, true])
    func smallThingsPassBulkOnAnEjabberdWithItsStockShaper(bothWays: Bool) async throws {
        let found = try await Self.measure(at: EjabberdServer.start(accounts: Self.accounts, isShaped: true), bothWays: bothWays)
        print("ejabberd, both ways \(bothWays): \(found)")
        #expect(found.losses == 0)
    }
}
