import NIOCore
import NIOEmbedded
import NIOTLS

/// What one end of a joined pair saw.
final class Observations: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    var received = ""
    var handshakeCompleted = false
    var errors: [any Error] = []

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        received += String(buffer: unwrapInboundIn(data))
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent { handshakeCompleted = true }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        errors.append(error)
        context.close(promise: nil)
    }
}

/// Two channels on one embedded loop; what one writes the other reads, when ``exchange()`` is called.
struct EmbeddedTLSPair {
    let loop = EmbeddedEventLoop()
    let client: EmbeddedChannel
    let server: EmbeddedChannel
    let clientSaw = Observations()
    let serverSaw = Observations()

    /// - Parameters: what adds the handlers of each side.
    init(client addClient: (any Channel) throws -> Void, server addServer: (any Channel) throws -> Void) throws {
        client = EmbeddedChannel(loop: loop)
        server = EmbeddedChannel(loop: loop)
        try addServer(server)
        try server.pipeline.syncOperations.addHandler(serverSaw)
        try addClient(client)
        try client.pipeline.syncOperations.addHandler(clientSaw)
        let address = try SocketAddress(unixDomainSocketPath: "/embedded")
        server.connect(to: address, promise: nil)
        client.connect(to: address, promise: nil)
        try exchange()
    }

    /// Carries bytes both ways until both sides are silent.
    func exchange() throws {
        // A handshake takes three flights; the bound is for two sides that answer each other for ever.
        for _ in 0..<64 {
            var moved = false
            while let bytes = try client.readOutbound(as: ByteBuffer.self) {
                moved = true
                if server.isActive { deliver(bytes, to: server, serverSaw) }
            }
            while let bytes = try server.readOutbound(as: ByteBuffer.self) {
                moved = true
                if client.isActive { deliver(bytes, to: client, clientSaw) }
            }
            loop.run()
            if !moved { return }
        }
    }

    func send(_ text: String, from channel: EmbeddedChannel) throws {
        channel.writeAndFlush(ByteBuffer(string: text), promise: nil)
        try exchange()
    }

    /// Not `writeInbound`, which throws what a handler has already been told.
    private func deliver(_ bytes: ByteBuffer, to channel: EmbeddedChannel, _ saw: Observations) {
        channel.pipeline.fireChannelRead(bytes)
        channel.pipeline.fireChannelReadComplete()
        loop.run()
    }
}
