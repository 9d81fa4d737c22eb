public import NIOCore
import NIOPosix
import QiMessaging
public import QiWire

/// A peer that writes frames as it likes and sees every frame that comes back.
public final class RawPeer: Sendable {
    private let channel: any Channel
    private let frames: AsyncStream<Message>

    private final class Reader: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private var decoder = MessageDecoder()
        private let sink: AsyncStream<Message>.Continuation

        init(_ sink: AsyncStream<Message>.Continuation) { self.sink = sink }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            decoder.append(unwrapInboundIn(data))
            do {
                while let message = try decoder.next() { sink.yield(message) }
            } catch {
                context.close(promise: nil)
            }
        }

        func channelInactive(context: ChannelHandlerContext) { sink.finish() }
        // A reset ends the stream like a close does.
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    private init(_ channel: any Channel, _ frames: AsyncStream<Message>) {
        self.channel = channel
        self.frames = frames
    }

    /// Connects, with TLS if the endpoint says so, and authenticates.
    static func connect(to endpoint: Endpoint, tls: TLSOptions, transport: (any Transport)?) async throws -> RawPeer {
        let (frames, sink) = AsyncStream.makeStream(of: Message.self)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let channel = try await (transport ?? SocketTransport()).connect(to: endpoint, on: loop, timeout: .seconds(10)) { channel in
            channel.eventLoop.makeCompletedFuture {
                try tls.install(on: channel, for: endpoint, isServer: false)
                try channel.pipeline.syncOperations.addHandler(Reader(sink))
            }
        }.get()
        let peer = RawPeer(channel, frames)
        var payload = ByteBuffer()
        try Capabilities.ours.write(to: &payload)
        let answer = try await peer.call(Message(kind: .call, id: 1, address: .authenticate, payload: payload))
        guard answer.kind == .reply else { throw ConformanceFailure("authentication was answered with \(answer.kind)") }
        return peer
    }

    /// Sends bytes; returns when they have left.
    public func send(_ bytes: ByteBuffer) async throws { try await channel.writeAndFlush(bytes) }

    /// Sends a frame; does not wait.
    public func write(_ message: Message) {
        var buffer = ByteBuffer()
        buffer.writeMessage(message)
        channel.writeAndFlush(buffer, promise: nil)
    }

    public func setReading(_ isReading: Bool) async throws {
        try await channel.setOption(.autoRead, value: isReading).get()
        if isReading { channel.read() }
    }

    /// The next frame; nil when the other side has closed. One reader at a time.
    public func next() async -> Message? {
        var iterator = frames.makeAsyncIterator()
        return await iterator.next()
    }

    /// Sends a Call and answers what comes for it.
    public func call(_ message: Message) async throws -> Message {
        write(message)
        while let answer = await next() {
            if answer.id == message.id { return answer }
        }
        throw ConformanceFailure("closed before the answer to \(message.address)")
    }

    /// A service's id and metaobject, on this connection.
    func find(_ name: String) async throws -> (id: UInt32, metaObject: MetaObject) {
        var payload = ByteBuffer()
        payload.writeQiString(QiString(name))
        var answer = try await call(
            Message(kind: .call, id: 2, address: ActionAddress(.serviceDirectory, action: WellKnownActions.service), payload: payload)).payload
        let info = try ServiceInfo(qiValue: answer.readQi(ServiceInfo.signature.type))
        payload.clear()
        payload.writeQiUInt32(0)
        let main = ObjectAddress(service: info.serviceID, object: 1)
        answer = try await call(
            Message(kind: .call, id: 3, address: ActionAddress(main, action: WellKnownActions.metaObject), payload: payload)).payload
        return (info.serviceID, try MetaObject(qiValue: answer.readQi(MetaObject.signature.type)))
    }

    /// Says that nothing more comes; all of the channel where one direction alone cannot be closed.
    func closeOutput() async throws {
        do {
            try await channel.close(mode: .output)
        } catch ChannelError.operationUnsupported {
            try await channel.close()
        }
    }

    /// Ends it at once.
    public func close() async throws {
        do { try await channel.close() } catch ChannelError.alreadyClosed {}
    }
}
