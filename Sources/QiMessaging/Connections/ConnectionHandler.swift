import NIOCore

/// The last handler of a qi pipeline: hands bytes to its ``Connection``, and runs what they made ready once per read burst,
/// so that everything answered in the burst leaves in one flush.
final class ConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let connection: Connection
    private let bus: Bus

    init(_ connection: Connection) {
        self.connection = connection
        bus = connection.bus
    }

    private func onBus(_ body: (Connection) -> Void) {
        body(connection)
        bus.executor.scheduleDrain()
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { onBus { $0.activate() } }
    }

    func channelActive(context: ChannelHandlerContext) {
        onBus { $0.activate() }
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        connection.received(bytes)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        connection.burstEnded()
        bus.executor.drain()
        context.fireChannelReadComplete()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        onBus { $0.writabilityChanged() }
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let change = event as? StreamPathChanged { connection.moved(to: change.kind) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        onBus { $0.inputEnded(.closedByPeer("the connection was closed by the other side")) }
        context.fireChannelInactive()
    }

    /// The only end that a channel tells which was closed before it was active.
    func handlerRemoved(context: ChannelHandlerContext) {
        onBus { $0.inputEnded(.closedByPeer("the connection was closed before it was used")) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let reason = error as? QiError ?? QiError(.disconnected, "the connection was lost: \(FailureReason.text(error))", cause: error)
        onBus { $0.inputEnded(.lost(reason)) }
        context.close(promise: nil)
    }
}

@available(*, unavailable)
extension ConnectionHandler: Sendable {}
