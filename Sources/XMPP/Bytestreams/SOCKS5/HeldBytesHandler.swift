import NIOCore

/// Stands first in the pipeline of a socket whose SOCKS5 handshake is over, until the application's handlers are installed: keeps the bytes
/// that came too early, at most what four reads bring, and lets the application see the channel become active.
final class HeldBytesHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private var held: ByteBuffer

    /// - Parameter held: what came together with the end of the handshake.
    init(_ held: ByteBuffer) { self.held = held }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { held.writeImmutableBuffer(unwrapInboundIn(data)) }

    func channelReadComplete(context: ChannelHandlerContext) {}

    func removeHandler(context: ChannelHandlerContext, removalToken: ChannelHandlerContext.RemovalToken) {
        if context.channel.isActive { context.fireChannelActive() }
        if held.readableBytes > 0 {
            context.fireChannelRead(wrapInboundOut(held))
            context.fireChannelReadComplete()
        }
        held = ByteBuffer()
        context.leavePipeline(removalToken: removalToken)
    }

    /// Ends a handshake on the channel's event loop: nothing is read any more until ``release(_:)``.
    static func hold(_ rest: ByteBuffer, in context: ChannelHandlerContext, insteadOf handler: any RemovableChannelHandler) throws {
        try context.channel.syncOptions?.setOption(.autoRead, value: false)
        let position = ChannelPipeline.SynchronousOperations.Position.after(handler)
        try context.pipeline.syncOperations.addHandler(HeldBytesHandler(rest), position: position)
        context.pipeline.syncOperations.removeHandler(handler, promise: nil)
    }

    /// The application's handlers are there: gives them what was kept, and goes on reading. On the channel's event loop.
    static func release(_ channel: any Channel) throws {
        let context = try channel.pipeline.syncOperations.context(handlerType: HeldBytesHandler.self)
        channel.pipeline.syncOperations.removeHandler(context: context, promise: nil)
        try channel.syncOptions?.setOption(.autoRead, value: true)
    }
}
