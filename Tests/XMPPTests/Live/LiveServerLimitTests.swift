import Foundation
import NIOCore
import NIOPosix
import QiMeshTesting
import Testing

@testable import XMPP

/// Servers that take no large stanzas, with and without saying so.
@Suite(.serialized, .timeLimit(.minutes(8)))
struct LiveServerLimitTests {
    private static let loop = MultiThreadedEventLoopGroup.singleton.next()
    private static let application = Element("description", namespace: "urn:qimesh:tunnel:1")

    /// Announces limits as XEP-0478 has it.
    private static let announcing = """
        module:hook("stream-features", function (event)
            event.features:tag("limits", { xmlns = "urn:xmpp:stream-limits:0" })
                :text_tag("max-bytes", "3000"):text_tag("idle-seconds", "45"):up();
        end);
        """

    private static func echoes(_ party: Party) {
        party.client.setBytestreamHandler(applicationNamespace: "urn:qimesh:tunnel:1", on: loop) { _ in
            .accept { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(LiveBytestreamTests.Echo()) }
            }
        }
    }

    /// Answers with four bytes when all have come.
    private final class Swallow: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private var left: Int
        init(_ count: Int) { left = count }
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            left -= unwrapInboundIn(data).readableBytes
            if left == 0 { context.writeAndFlush(NIOAny(ByteBuffer(string: "done")), promise: nil) }
        }
    }

    /// Sends so many bytes and waits for what comes back.
    private static func send(_ count: Int, _ from: Party, to: Party, expecting answer: Int = 4) async throws -> Int {
        let done = loop.makePromise(of: ByteBuffer.self)
        let channel: any Channel
        do {
            channel = try await from.client.openBytestream(to: to.full(), application: application, on: loop) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(LiveBytestreamTests.Collector(answer, done))
                }
            }
        } catch {
            done.fail(error)
            throw error
        }
        channel.writeAndFlush(ByteBuffer(repeating: 1, count: count), promise: nil)
        let back = try await done.futureResult.get()
        try await channel.close()
        return back.readableBytes
    }

    @Test func whatAServerAnnouncesIsKept() async throws {
        let server = try ProsodyServer.start(
            accounts: [("pepper", "secret"), ("desk", "secret")], extraConfig: "c2s_stanza_size_limit = 3000",
            ownModules: ["announce_limits": Self.announcing])
        try await withFriends(at: server) { desk, pepper in
            Self.echoes(pepper)
            #expect(try await Self.send(300_000, desk, to: pepper, expecting: 300_000) == 300_000)
            let limits = desk.client.inBandStatus.streamLimits
            #expect(limits == StreamLimits(maxBytes: 3000, idleSeconds: 45))
            #expect(desk.client.inBandStatus.blockSize <= 2110)
            let error = try await #require(throws: XMPPError.self) {
                let large = Element("query", namespace: "urn:x", text: String(repeating: "x", count: 3000))
                _ = try await desk.client.iq(to: pepper.full(), .get, large)
            }
            #expect(error.code == .limitExceeded, "\(error)")
            #expect(desk.client.state.isOnline)
        }
    }

    @Test func aServerThatSaysNothingIsOffendedOnceAndNotTwice() async throws {
        let accounts = [("pepper-large", "secret"), ("desk-large", "secret")]
        let server = try ProsodyServer.start(accounts: accounts, extraConfig: "c2s_stanza_size_limit = 4000")
        defer { server.stop() }
        let pepper = try Party("pepper-large", at: server)
        let desk = try Party("desk-large", at: server)
        try await pepper.running {
            try await desk.running {
                try await desk.befriend(pepper)
                pepper.client.setBytestreamHandler(applicationNamespace: "urn:qimesh:tunnel:1", on: Self.loop) { _ in
                    .accept { channel in
                        channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Swallow(1_000_000)) }
                    }
                }
                let before = desk.events.all.count
                await #expect(throws: XMPPError.self) { _ = try await Self.send(1_000_000, desk, to: pepper) }
                try await desk.events.first(after: before) { event -> Bool? in
                    if case .state(.waiting(_, let reason)) = event, reason.message.contains("policy-violation") { true } else { nil }
                }
                let lost = desk.events.all.count
                try await desk.events.first(after: lost) { event -> Bool? in
                    if case .presence(let resource) = event, resource.isAvailable { true } else { nil }
                }
                let again = desk.events.all.count
                #expect(try await Self.send(1_000_000, desk, to: pepper) == 4)
                #expect(!desk.events.all.dropFirst(again).contains { if case .state(.waiting) = $0 { true } else { false } })
                #expect(desk.client.inBandStatus.blockSize <= 2850)
            }
        }
    }
}
