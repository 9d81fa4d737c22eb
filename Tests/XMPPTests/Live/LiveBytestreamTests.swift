import Foundation
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import QiMeshTesting
import Synchronization
import Testing

@testable import XMPP

/// Bytestreams between two clients on a real server.
@Suite(.serialized, .timeLimit(.minutes(8)))
struct LiveBytestreamTests {
    private static let application = Element("description", namespace: "urn:qimesh:tunnel:1")
    private static let loop = MultiThreadedEventLoopGroup.singleton.next()

    /// Sends back what it gets.
    final class Echo: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        func channelRead(context: ChannelHandlerContext, data: NIOAny) { context.write(data, promise: nil) }
        func channelReadComplete(context: ChannelHandlerContext) { context.flush() }
    }

    /// Counts and compares what arrives with what is expected.
    final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let expected: Int
        private let done: EventLoopPromise<ByteBuffer>
        private var received = ByteBuffer()

        init(_ expected: Int, _ done: EventLoopPromise<ByteBuffer>) {
            self.expected = expected
            self.done = done
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var bytes = unwrapInboundIn(data)
            received.writeBuffer(&bytes)
            if received.readableBytes >= expected { done.succeed(received) }
        }

        func channelInactive(context: ChannelHandlerContext) {
            done.fail(XMPPError(.streamClosed, "closed after \(received.readableBytes) bytes"))
            context.fireChannelInactive()
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { done.fail(error) }
    }

    private static func echoes(_ party: Party, _ before: @escaping @Sendable (any Channel) throws -> Void = { _ in }) {
        party.client.setBytestreamHandler(applicationNamespace: "urn:qimesh:tunnel:1", on: loop) { _ in
            .accept { channel in
                channel.eventLoop.makeCompletedFuture {
                    try before(channel)
                    try channel.pipeline.syncOperations.addHandler(Echo())
                }
            }
        }
    }

    /// Opens a stream, sends bytes and returns what came back.
    private static func roundTrip(
        _ from: Party, to: Party, _ bytes: ByteBuffer, _ before: @escaping @Sendable (any Channel) throws -> Void = { _ in }
    ) async throws -> ByteBuffer {
        let done = loop.makePromise(of: ByteBuffer.self)
        let count = bytes.readableBytes
        let channel = try await open(from, to: to, failing: done) { channel in
            try before(channel)
            try channel.pipeline.syncOperations.addHandler(Collector(count, done))
        }
        channel.writeAndFlush(bytes, promise: nil)
        let back = try await done.futureResult.get()
        try await channel.close()
        return back
    }

    /// Opens a stream; the promise fails when that does.
    private static func open<Value: Sendable>(
        _ from: Party, to: Party, failing promise: EventLoopPromise<Value>,
        _ configure: @escaping @Sendable (any Channel) throws -> Void = { _ in }
    ) async throws -> any Channel {
        do {
            return try await from.client.openBytestream(to: to.full(), application: application, on: loop) { channel in
                channel.eventLoop.makeCompletedFuture { try configure(channel) }
            }
        } catch {
            promise.fail(error)
            throw error
        }
    }

    private static func pattern(_ count: Int) -> ByteBuffer {
        ByteBuffer(bytes: (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) })
    }

    @Test func echoesBothWays() async throws {
        try await withFriends { desk, pepper in
            Self.echoes(desk)
            Self.echoes(pepper)
            let bytes = Self.pattern(100_000)
            let back1 = try await Self.roundTrip(desk, to: pepper, bytes)
            #expect(back1 == bytes)
            let back2 = try await Self.roundTrip(pepper, to: desk, bytes)
            #expect(back2 == bytes)
        }
    }

    @Test func echoesOneMebibyte() async throws {
        try await withFriends { desk, pepper in
            Self.echoes(pepper)
            let bytes = Self.pattern(1 << 20)
            let back3 = try await Self.roundTrip(desk, to: pepper, bytes)
            #expect(back3 == bytes)
        }
    }

    @Test func manyStreamsAtOnce() async throws {
        try await withFriends { desk, pepper in
            Self.echoes(pepper)
            let bytes = Self.pattern(30_000)
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<16 { group.addTask { try await Self.roundTrip(desk, to: pepper, bytes) == bytes } }
                for try await same in group { #expect(same) }
            }
        }
    }

    @Test func carriesTLSWithBothCertificates() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("tls-\(UUID().uuidString)")
        defer {
            do { try FileManager.default.removeItem(at: folder) } catch { Issue.record(error) }
        }
        let authority = try TestAuthority(in: folder)
        let contexts = try ["pepper", "desk"].map { name in
            let files = try authority.issue(for: name)
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: try NIOSSLCertificate.fromPEMFile(files.certificate.path).map { .certificate($0) },
                privateKey: .privateKey(try NIOSSLPrivateKey(file: files.key.path, format: .pem)))
            configuration.certificateVerification = .noHostnameVerification
            configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(authority.certificate.path))
            configuration.minimumTLSVersion = .tlsv13
            return try NIOSSLContext(configuration: configuration)
        }
        try await withFriends { desk, pepper in
            Self.echoes(pepper) { channel in
                try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: contexts[0]))
            }
            let bytes = Self.pattern(200_000)
            let back = try await Self.roundTrip(desk, to: pepper, bytes) { channel in
                try channel.pipeline.syncOperations.addHandler(
                    NIOSSLClientHandler(context: contexts[1], serverHostname: nil))
            }
            #expect(back == bytes)
        }
    }

    @Test func declinedUnknownAndUnreachableAreErrors() async throws {
        try await withFriends { desk, pepper in
            pepper.client.setBytestreamHandler(applicationNamespace: "urn:qimesh:tunnel:1", on: Self.loop) { _ in
                .decline(reason: "asleep")
            }
            let target = try pepper.full()
            let nobody = try #require(pepper.jid.with(resource: "nobody"))
            let stranger = try #require(JID("eve@mesh.test/there"))
            let table = [
                (target, Self.application, XMPPError.Code.streamRefused),
                (target, Element("description", namespace: "urn:unheard-of"), .streamRefused),
                (nobody, Self.application, .streamRefused),
                (stranger, Self.application, .streamRefused),
            ]
            for (address, application, code) in table {
                let error = try await #require(throws: XMPPError.self, "\(address)") {
                    _ = try await desk.client.openBytestream(to: address, application: application, on: Self.loop) {
                        $0.eventLoop.makeSucceededVoidFuture()
                    }
                }
                #expect(error.code == code, "\(error)")
            }
        }
    }

    @Test func closingOneEndClosesTheOther() async throws {
        try await withFriends { desk, pepper in
            let accepted = Self.loop.makePromise(of: (any Channel).self)
            pepper.client.setBytestreamHandler(applicationNamespace: "urn:qimesh:tunnel:1", on: Self.loop) { offer in
                #expect(offer.from.bare == desk.jid)
                return .accept { channel in
                    accepted.succeed(channel)
                    return channel.eventLoop.makeSucceededVoidFuture()
                }
            }
            let channel = try await Self.open(desk, to: pepper, failing: accepted)
            let far = try await accepted.futureResult.get()
            #expect(desk.client.status.bytestreams == 1)
            try await far.close()
            try await channel.closeFuture.get()
            #expect(!channel.isActive)
            await desk.client.bytestreamsEnded(before: .now + .seconds(30))
            #expect(desk.client.status.bytestreams == 0)
        }
    }

    @Test func channelFailsAtOnceWhenThePeerGoes() async throws {
        try await withFriends { desk, pepper in
            Self.echoes(pepper)
            let errors = Self.loop.makePromise(of: (any Error).self)
            let channel = try await Self.open(desk, to: pepper, failing: errors) { channel in
                try channel.pipeline.syncOperations.addHandler(FirstError(errors))
            }
            // Not an orderly goodbye of the stream: the whole device is cut off.
            pepper.client.host.enqueue { $0.lose(XMPPError(.connectionLost, "cut by the test")) }
            try await channel.closeFuture.get()
            let error = try await errors.futureResult.get()
            #expect(error is XMPPError, "\(error)")
        }
    }

    @Test func lossOfOurOwnServerFailsTheChannel() async throws {
        let server = try ProsodyServer.start(accounts: [("pepper", "secret"), ("desk", "secret")])
        defer { server.stop() }
        let pepper = try Party("pepper", at: server)
        let desk = try Party("desk", at: server)
        try await pepper.running {
            try await desk.running {
                try await desk.befriend(pepper)
                Self.echoes(pepper)
                let channel = try await desk.client.openBytestream(
                    to: pepper.full(), application: Self.application, on: Self.loop
                ) { $0.eventLoop.makeSucceededVoidFuture() }
                let (before, beforePepper) = (desk.events.all.count, pepper.events.all.count)
                server.suspend()
                try await channel.closeFuture.get()
                try server.resume()
                // Both come back by themselves, see each other again, and streams can be opened again.
                try await desk.events.first(after: before) { event -> Bool? in
                    if case .presence(let resource) = event, resource.isAvailable { true } else { nil }
                }
                try await pepper.events.first(after: beforePepper) { event -> Bool? in
                    if case .presence(let resource) = event, resource.isAvailable { true } else { nil }
                }
                let bytes = Self.pattern(5000)
                let back4 = try await Self.roundTrip(desk, to: pepper, bytes)
                #expect(back4 == bytes)
            }
        }
    }

    final class FirstError: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let promise: EventLoopPromise<any Error>
        init(_ promise: EventLoopPromise<any Error>) { self.promise = promise }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { promise.succeed(error) }
        func channelInactive(context: ChannelHandlerContext) {
            promise.fail(XMPPError(.streamClosed, "closed without an error"))
            context.fireChannelInactive()
        }
    }
}
