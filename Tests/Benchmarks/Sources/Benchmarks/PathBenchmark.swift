import Foundation
import Logging
import NIOCore
import NIOPosix
import QiMesh
import QiMessaging
import Synchronization
import XMPP

/// Calls between two nodes over one kind of path, beside a bare bytestream of the same kind between the same two accounts: plain TCP
/// through the same proxy, or in-band. Each node is a process on a computer of its own (`paths.py`), since no address of one's own machine
/// is dialled.
enum PathBenchmark {
    private struct Place {
        let kind: MeshConfiguration.Paths.Kind
        let accounts: BenchmarkAccounts
        let node: BenchmarkNode
        let home: URL
    }

    private static let echo = Element("description", namespace: echoNamespace)
    private static let echoNamespace = "urn:example:echo:1"
    /// The program of an account that the bare bytestreams lead to.
    private static let resource = "ping"

    private static func place(_ arguments: [String]) throws -> Place {
        guard arguments.count >= 6, let kind = MeshConfiguration.Paths.Kind(rawValue: arguments[5]) else {
            throw BenchmarkFailure("usage: home|across USER PASSWORD DOMAIN IPv4:PORT CA direct|proxy|in-band …")
        }
        let address = arguments[3].split(separator: ":")
        guard address.count == 2, let port = UInt16(address[1]) else { throw BenchmarkFailure("\(arguments[3]) is not IPv4:PORT") }
        let accounts = BenchmarkAccounts(domain: arguments[2], host: String(address[0]), port: port, caFile: arguments[4])
        let home = FileManager.default.temporaryDirectory.appendingPathComponent("qimesh-benchmark-\(UUID().uuidString)")
        let node = try BenchmarkNode(
            user: arguments[0], password: arguments[1], xmpp: accounts, home: home, order: kind == .inBand ? [.inBand] : [kind, .inBand])
        return Place(kind: kind, accounts: accounts, node: node, home: home)
    }

    private static func options(_ kind: MeshConfiguration.Paths.Kind) -> SOCKS5Options? {
        kind == .proxy ? SOCKS5Options(allowsDirect: false, allowsProxy: true, addresses: { [] }, permits: { _ in nil }) : nil
    }

    /// A node with `Echo`, and an echo on bare bytestreams, until the standard input ends.
    static func serve(_ arguments: [String]) async throws {
        let place = try place(arguments)
        defer { try? FileManager.default.removeItem(at: place.home) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await place.node.run() }
            let client = try place.node.pingClient(place.accounts)
            client.setSOCKS5Options(options(place.kind))
            client.setBytestreamHandler(
                applicationNamespace: echoNamespace, on: MultiThreadedEventLoopGroup.singleton.next()
            ) { _ in
                .accept { channel in
                    channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(EchoHandler()) }
                }
            }
            group.addTask { try await client.run() }
            defer { group.cancelAll() }
            _ = try await place.node.server()
            report("ready", "{\"jid\": \"\(place.node.jid)\"}")
            try await Serving.standardInputEnds()
            client.shutdown()
        }
    }

    /// Calls the other home's `Echo`.
    static func drive(_ arguments: [String]) async throws {
        let place = try place(arguments)
        defer { try? FileManager.default.removeItem(at: place.home) }
        guard arguments.count >= 10, let count = Int(arguments[7]), let bulks = Int(arguments[8]), let size = Int(arguments[9]) else {
            throw BenchmarkFailure("usage: across … OTHER COUNT BULKS SIZE")
        }
        let other = "\(arguments[6])@\(place.accounts.domain)"
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await place.node.run() }
            let client = try place.node.pingClient(place.accounts)
            client.setSOCKS5Options(options(place.kind))
            group.addTask { try await client.run() }
            defer { group.cancelAll() }
            try await place.node.invite(user: arguments[6], jid: other)
            let proxy = try await place.node.server().service("Echo", of: other)
            try await place.node.settle(on: place.kind, to: other)
            let calls = EchoCalls(proxy)
            let call = try await Samples.measure(count) { try await calls.echo() }
            let payload = ByteBuffer(repeating: 7, count: size)
            let bulk = try await Samples.measure(bulks) {
                guard try await calls.raw(payload) == size else { throw BenchmarkFailure("the echo has another size") }
            }
            try await place.node.settle(on: place.kind, to: other)
            var results = ["call": call.result, "bulk": bulk.result]
            if place.kind != .direct {
                let bare = try await bare(client, other, place.kind)
                // As long as a call of ours is on its path.
                results["bare call"] = try await Samples.measure(count) { try await bare.bounce(64) }.result
                results["bare bulk"] = try await Samples.measure(bulks) { try await bare.bounce(size, padded: place.kind == .proxy) }.result
            }
            if place.kind == .inBand { results["ping"] = try await pings(client, other, count).result }
            report("result", "{\(results.map { "\"\($0)\": \($1)" }.joined(separator: ", "))}")
            client.shutdown()
        }
    }

    private static func bare(_ client: XMPPClient, _ other: String, _ kind: MeshConfiguration.Paths.Kind) async throws -> Bouncing {
        guard let target = JID("\(other)/\(resource)") else { throw BenchmarkFailure("no address") }
        let bouncing = Bouncing()
        var transport = BytestreamTransport.inBand
        if let options = options(kind) { transport = .socks5(options) }
        bouncing.channel = try await client.openBytestream(
            to: target, application: echo, over: transport, on: MultiThreadedEventLoopGroup.singleton.next()
        ) { channel in
            channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(bouncing.handler()) }
        }.channel
        return bouncing
    }

    private static func pings(_ client: XMPPClient, _ other: String, _ count: Int) async throws -> Samples {
        guard let target = JID("\(other)/\(resource)") else { throw BenchmarkFailure("no address") }
        return try await Samples.measure(count) { _ = try await client.ping(target) }
    }
}

/// Sends back what comes.
private final class EchoHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { context.write(data, promise: nil) }

    func channelReadComplete(context: ChannelHandlerContext) { context.flush() }
}

/// The near end of an echo: sends bytes, and waits until as many are back.
private final class Bouncing: Sendable {
    private struct State {
        /// Bytes that are waited for; below zero, those that came beside.
        var missing = 0
        var done: EventLoopPromise<Void>?
    }

    /// Sent behind each bulk, and not waited for: Prosody 0.12.3's proxy keeps the last bytes of a burst until others follow.
    private static let padding = 16 << 10

    private let state = Mutex(State())
    private let place = Mutex<(any Channel)?>(nil)

    var channel: (any Channel)? {
        get { place.withLock { $0 } }
        set { place.withLock { $0 = newValue } }
    }

    func handler() -> any ChannelHandler { Returning(self) }

    func bounce(_ size: Int, padded isPadded: Bool = false) async throws {
        guard let channel else { throw BenchmarkFailure("no bytestream") }
        let done = channel.eventLoop.makePromise(of: Void.self)
        let padding = isPadded ? Self.padding : 0
        state.withLock { $0 = State(missing: $0.missing + size, done: done) }
        let watchdog = channel.eventLoop.scheduleTask(in: .seconds(60)) { self.finish(.failure(BenchmarkFailure("no echo within 60 s"))) }
        channel.writeAndFlush(ByteBuffer(repeating: 7, count: size + padding), promise: nil)
        try await done.futureResult.get()
        watchdog.cancel()
        // The padding comes with the next one.
        state.withLock { $0.missing += padding }
    }

    private func arrived(_ count: Int) {
        let isDone = state.withLock { state in
            state.missing -= count
            return state.missing <= 0
        }
        if isDone { finish(.success(())) }
    }

    private func finish(_ result: Result<Void, any Error>) {
        let done = state.withLock { state in
            defer { state.done = nil }
            return state.done
        }
        done?.completeWith(result)
    }

    private final class Returning: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let owner: Bouncing

        init(_ owner: Bouncing) { self.owner = owner }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) { owner.arrived(unwrapInboundIn(data).readableBytes) }

        func channelInactive(context: ChannelHandlerContext) { owner.finish(.failure(BenchmarkFailure("the bytestream ended"))) }
    }
}
