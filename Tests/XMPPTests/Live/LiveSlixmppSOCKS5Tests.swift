import Foundation
import NIOCore
import NIOPosix
import QiMeshTesting
import Testing

@testable import XMPP

/// SOCKS5 bytestreams with another software: TCP, SOCKS5 and the discovery of proxies are slixmpp's, the stanzas of its script
/// (`Tests/InteropTests/Peers/slixmpp_socks5.py`).
@Suite(.serialized, .timeLimit(.minutes(8)))
struct LiveSlixmppSOCKS5Tests {
    private static let loop = MultiThreadedEventLoopGroup.singleton.next()

    /// Who begins, and whose streamhost is used, seen from slixmpp.
    struct Case: Sendable, CustomTestStringConvertible {
        let role: String
        let way: String
        var testDescription: String { "slixmpp as \(role), \(way)" }
    }

    private static let cases = ["responder", "initiator"].flatMap { role in ["direct", "theirs", "ours"].map { Case(role: role, way: $0) } }

    @Test(arguments: cases) func bytesTravelBothWaysAndBothSidesEnd(_ entry: Case) async throws {
        // Only the side whose proxy is meant may ask for it.
        let users = ["direct": [], "theirs": ["desk@mesh.test"], "ours": ["pepper@mesh.test"]][entry.way] ?? []
        let server = try ProsodyServer.start(accounts: [("pepper", "secret"), ("desk", "secret")], proxyFor: users)
        defer { server.stop() }
        let desk = try Party("desk", at: server)
        let isDirect = entry.way == "direct"
        let options = SOCKS5Options(
            allowsDirect: isDirect, allowsProxy: !isDirect, addresses: { ["127.0.0.1"] }, permits: { _ in nil })
        let home = FileManager.default.temporaryDirectory.appendingPathComponent("slixmpp-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: home, withIntermediateDirectories: true)
        defer {
            do { try FileManager.default.removeItem(at: home) } catch { Issue.record(error) }
        }
        try await desk.running {
            desk.client.setSOCKS5Options(options)
            let echoing = Self.loop.makePromise(of: (any Channel).self)
            defer { echoing.fail(XMPPError(.cancelled, "the test is over")) }
            desk.client.setBytestreamHandler(applicationNamespace: "urn:qimesh:tunnel:1", on: Self.loop) { _ in
                .acceptReporting { channel, report in
                    #expect(report.kind == (isDirect ? .direct : .proxy))
                    echoing.succeed(channel)
                    return channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(LiveBytestreamTests.Echo())
                    }
                }
            }
            let arguments = [
                "\(server.port)", server.caFile, "pepper@mesh.test/slixmpp", "secret", try desk.full().description, entry.role, entry.way,
            ]
            try await withPeer("slixmpp_socks5.py", arguments, home: home.path) { peer in
                #expect(try await peer.requiredLine() == "online")
                try await Self.befriend(desk)
                let channel =
                    entry.role == "responder"
                    ? try await Self.open(desk, options, peer) : try await Self.served(peer, echoing.futureResult)
                try await channel.close()
                #expect(try await peer.requiredLine() == "closed")
            }
        }
    }

    /// We begin: says hello, and gets it back.
    private static func open(_ desk: Party, _ options: SOCKS5Options, _ peer: PythonPeer) async throws -> any Channel {
        let back = loop.makePromise(of: ByteBuffer.self)
        let target = try #require(JID("pepper@mesh.test/slixmpp"))
        let stream: OpenBytestream
        do {
            stream = try await desk.client.openBytestream(
                to: target, application: Element("description", namespace: "urn:qimesh:tunnel:1"), over: .socks5(options), on: loop
            ) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(LiveBytestreamTests.Collector(11, back))
                }
            }
        } catch {
            back.fail(error)
            Issue.record("\(error), \(peer.errors)")
            throw error
        }
        stream.channel.writeAndFlush(ByteBuffer(string: "hello world"), promise: nil)
        #expect(try await peer.requiredLine().hasPrefix("open"))
        let echoed = try await back.futureResult.get()
        #expect(String(buffer: echoed) == "hello world")
        #expect(try await peer.requiredLine() == "echoed")
        return stream.channel
    }

    /// slixmpp begins.
    private static func served(_ peer: PythonPeer, _ accepted: EventLoopFuture<any Channel>) async throws -> any Channel {
        #expect(try await peer.requiredLine().hasPrefix("open"))
        #expect(try await peer.requiredLine() == "echoed")
        return try await accepted.get()
    }

    /// slixmpp approves what it is asked, and asks back.
    private static func befriend(_ desk: Party) async throws {
        let account = try #require(JID("pepper@mesh.test"))
        try await desk.client.setRosterItem(account, name: "the other")
        try await desk.client.subscribe(to: account)
        let request = try await desk.events.first { event -> SubscriptionRequest? in
            if case .request(let request) = event, request.from == account { request } else { nil }
        }
        try await desk.client.approveSubscription(of: request.from)
        try await desk.events.first { event -> Bool? in
            if case .roster(let item) = event, item.jid == account, item.isMutual { true } else { nil }
        }
        try await desk.events.first { event -> Bool? in
            if case .presence(let resource) = event, resource.jid.bare == account, resource.isAvailable { true } else { nil }
        }
    }
}
