import NIOCore
import NIOPosix
@testable import QiMeshTesting
@testable import QiMessaging
import QiWire
import Testing

/// A directory to which two devices open streams, each over loopback sockets of its own door: `bad`, which writes frames as it likes, and
/// `good`, whose calls have to go on beside it.
struct StreamDoors {
    let directory: DirectoryServer
    let bad: Endpoint
    private let bystander: RawPeer
    private let service: UInt32
    private let echo: UInt32

    /// Runs `body` with a directory, its two doors, and a stream of the good device.
    static func with(_ body: (StreamDoors) async throws -> Void) async throws {
        try await withDirectory { directory, _ in
            let bad = try await open(directory, "bad")
            let good = try await open(directory, "good")
            _ = try await directory.register(ConformanceService().object, as: ConformanceService.name)
            let endpoint = try #require(Endpoint("stream://" + good.endpoint.text.split(separator: "/")[1]))
            let bystander = try await RawPeer.connect(to: endpoint, tls: TLSOptions(), transport: StreamTransport())
            let (id, metaObject) = try await bystander.find(ConformanceService.name)
            let echo = try #require(metaObject.methods.first { $0.name == "echo" }).uid
            let doors = StreamDoors(directory: directory, bad: bad.endpoint, bystander: bystander, service: id, echo: echo)
            try await doors.expectUndisturbed()
            try await body(doors)
            try await doors.expectUndisturbed()
            try await bystander.close()
            for door in [bad, good] { door.end() }
        }
    }

    private static func open(_ directory: DirectoryServer, _ device: String) async throws -> TransportListening {
        let address = try #require(Endpoint("tcp://127.0.0.1:0"))
        return try await SocketTransport().listen(at: address, on: directory.loop.eventLoop) { channel in
            channel.eventLoop.makeCompletedFuture {
                try directory.acceptPath(
                    channel, from: device, program: device + "/1", by: .tcp, callsInFlight: 1000, key: { "key of " + device }
                ) { (_) throws(QiError) in Capabilities() }
            }
        }.get()
    }

    /// A call, as an attacker may make it too.
    func call(_ id: UInt32, bytes: Int) -> Message {
        var payload = ByteBuffer()
        payload.writeQiUInt32(UInt32(bytes))
        payload.writeRepeatingByte(7, count: bytes)
        let address = ActionAddress(ObjectAddress(service: service, object: 1), action: echo)
        return Message(kind: .call, id: id, address: address, payload: payload)
    }

    /// The other device's calls are answered on the path that its stream began on.
    func expectUndisturbed() async throws {
        for id in UInt32(50)..<53 {
            let answer = try await bystander.call(call(id, bytes: 1000))
            #expect(answer.kind == .reply && answer.payload.readableBytes == 1004)
        }
        let resumptions = try await streams(of: "good") { $0.resumptions }
        #expect(resumptions == [0])
    }

    /// Something of each stream of a device.
    func streams<Value: Sendable>(of device: String, _ pick: @escaping @Sendable (StreamChannel) -> Value) async throws -> [Value] {
        let directory = directory.directory
        return try await self.directory.loop.eventLoop.submit { directory.value.streams.streams(of: device).map(pick) }.get()
    }
}

/// One channel of the bad device, which writes frames as it likes.
final class StreamAttacker: Sendable {
    static let id = StreamID(high: 6, low: 6)
    private let channel: any Channel
    private let frames: AsyncStream<StreamFrame>

    private final class Reader: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private var unread = ByteBuffer()
        private let sink: AsyncStream<StreamFrame>.Continuation

        init(_ sink: AsyncStream<StreamFrame>.Continuation) { self.sink = sink }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            unread.writeImmutableBuffer(unwrapInboundIn(data))
            do {
                while let frame = try StreamFrameCoding.read(from: &unread) { sink.yield(frame) }
            } catch {
                context.close(promise: nil)
            }
            unread.discardReadBytes()
        }

        func channelInactive(context: ChannelHandlerContext) { sink.finish() }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    init(_ doors: StreamDoors) async throws {
        let (frames, sink) = AsyncStream.makeStream(of: StreamFrame.self)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        channel = try await SocketTransport().connect(to: doors.bad, on: loop, timeout: .seconds(10)) { channel in
            channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Reader(sink)) }
        }.get()
        self.frames = frames
    }

    func send(_ bytes: ByteBuffer) { channel.writeAndFlush(bytes, promise: nil) }

    func send(_ frames: [StreamFrame]) {
        var bytes = ByteBuffer()
        for frame in frames { StreamFrameCoding.write(frame, to: &bytes) }
        send(bytes)
    }

    /// A whole message.
    static func whole(_ message: Message) -> StreamFrame {
        var bytes = ByteBuffer()
        bytes.writeMessage(message)
        return .numbered(.whole(StreamBytes(bytes)))
    }

    /// Says hello; what is answered.
    func greet(
        _ purpose: StreamHello.Purpose = .open, _ stream: StreamID = id, received: UInt64 = 0, window: UInt32 = 1 << 20
    ) async -> StreamFrame? {
        send([.hello(StreamHello(purpose: purpose, stream: stream, instance: 1, received: received, window: window))])
        return await next()
    }

    /// Logs in to the qi protocol, as the first message of a stream.
    func logIn() async throws {
        var payload = ByteBuffer()
        try Capabilities.ours.write(to: &payload)
        send([Self.whole(Message(kind: .call, id: 1, address: .authenticate, payload: payload))])
        let answered = await first { if case .numbered(.whole) = $0 { true } else { nil } }
        try #require(answered == true)
    }

    func next() async -> StreamFrame? {
        var iterator = frames.makeAsyncIterator()
        return await iterator.next()
    }

    /// The first of the next frames of which `pick` makes something; nil when the channel was closed before.
    func first<Value>(_ pick: (StreamFrame) -> Value?) async -> Value? {
        while let frame = await next() {
            if let value = pick(frame) { return value }
        }
        return nil
    }

    /// Whether the other side still answers, and has not closed the path.
    func isAnswered() async -> Bool {
        send([.ping(0xA77)])
        return await first { $0 == .pong(0xA77) ? true : nil } ?? false
    }

    func close() async throws {
        do { try await channel.close() } catch ChannelError.alreadyClosed {}
    }
}
