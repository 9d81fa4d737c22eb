import NIOCore
import NIOPosix
@testable import QiMessaging
import QiWire
import Testing

/// A peer that sends whatever bytes a test likes and sees every frame that comes back.
final class RawClient: Sendable {
    private let channel: any Channel
    private let frames: AsyncStream<Message>

    private final class Reader: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private var decoder = MessageDecoder(maximumPayload: 200 << 20)
        private let sink: AsyncStream<Message>.Continuation
        init(_ sink: AsyncStream<Message>.Continuation) { self.sink = sink }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            decoder.append(unwrapInboundIn(data))
            do {
                while let message = try decoder.next() { sink.yield(message) }
            } catch {
                Issue.record("not a frame: \(error)")
                context.close(promise: nil)
            }
        }

        func channelInactive(context: ChannelHandlerContext) { sink.finish() }
        // A reset ends the stream like a close does.
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    /// Connects; nothing is sent.
    init(_ endpoint: Endpoint) async throws {
        let (frames, sink) = AsyncStream.makeStream(of: Message.self)
        self.frames = frames
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton.next()).channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Reader(sink)) }
        }
        switch endpoint.kind {
        case .tcp(let host, let port): channel = try await bootstrap.connect(host: host, port: Int(port)).get()
        case .unix(let path): channel = try await bootstrap.connect(unixDomainSocketPath: path).get()
        default: throw QiError(.unsupported, "\(endpoint)")
        }
    }

    func send(_ bytes: ByteBuffer) async throws { try await channel.writeAndFlush(bytes) }

    func send(_ messages: Message...) async throws {
        var buffer = ByteBuffer()
        for message in messages { buffer.writeMessage(message) }
        try await send(buffer)
    }

    /// Stops reading, as a stalled peer does.
    func stopReading() async throws { try await channel.setOption(.autoRead, value: false).get() }

    func resumeReading() async throws { try await channel.setOption(.autoRead, value: true).get() }

    /// The next frame; nil when the other side has closed. One reader at a time.
    func next() async -> Message? {
        var iterator = frames.makeAsyncIterator()
        return await iterator.next()
    }

    /// Sends a Call and answers what comes for it; what comes before goes to `others`.
    func call(_ message: Message, others: (Message) -> Void = { _ in }) async throws -> Message {
        try await send(message)
        while let answer = await next() {
            if answer.kind.isAnswer, answer.id == message.id { return answer }
            others(answer)
        }
        throw QiError(.disconnected, "closed before the answer to \(message.address)")
    }

    /// Calls service.object.action with arguments of `signature`.
    func call(
        _ address: ActionAddress, id: UInt32, _ arguments: [QiValue] = [], _ signature: Signature = "()",
        flags: MessageFlags = [], others: (Message) -> Void = { _ in }
    ) async throws -> Message {
        try await call(.call(address, id: id, arguments, signature, flags: flags), others: others)
    }

    /// Says hello as libqi does.
    func authenticate(_ capabilities: Capabilities = .ours) async throws {
        var payload = ByteBuffer()
        try capabilities.write(to: &payload)
        let answer = try await call(Message(kind: .call, id: 0xFFFF_0001, address: .authenticate, payload: payload))
        #expect(answer.kind == .reply)
    }

    /// Whether the other side serves on: the directory answers its machine id.
    func expectAlive() async throws {
        let action = ActionAddress(.serviceDirectory, action: WellKnownActions.machineID)
        #expect(try await call(action, id: 0xFFFF_0002).kind == .reply)
    }

    /// Whether the other side ends the connection, with nothing said before.
    func expectClosed() async {
        let message = await next()
        #expect(message == nil)
    }

    /// Says that nothing more comes, and returns when the other side has closed for that.
    func hangUp() async throws {
        try await channel.close(mode: .output)
        while await next() != nil {}
    }

    /// Closes, if the other side has not.
    func close() async throws {
        do { try await channel.close() } catch ChannelError.alreadyClosed {}
    }
}

extension Message {
    static func call(
        _ address: ActionAddress, id: UInt32, _ arguments: [QiValue] = [], _ signature: Signature = "()", flags: MessageFlags = []
    ) throws -> Message {
        var payload = ByteBuffer()
        try payload.writeQiArguments(arguments, as: signature)
        return Message(kind: .call, id: id, address: address, flags: flags, payload: payload)
    }

    /// The text of an Error.
    var errorText: String {
        var payload = self.payload
        return payload.readErrorPayload()
    }

    /// The payload as a value.
    func value(_ signature: Signature) throws -> QiValue {
        var payload = self.payload
        return try payload.readQi(signature.type)
    }
}

extension MessageKind {
    var isAnswer: Bool { self == .reply || self == .error || self == .canceled }
}
