import NIOCore

/// The last handler of a qi pipeline: hands bytes to its ``Connection``, and runs what they made ready once per read burst,
/// so that everything answered in the burst leaves in one flush.
final class ConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let connection: Connection
    private let bus: Bus
    private var isInBurst = false

    init(_ connection: Connection) {
        self.connection = connection
        bus = connection.bus
    }

    /// Outside a burst, or at an end that a burst does not outlive.
    private func onBus(endsBurst: Bool = false, _ body: (Connection) -> Void) {
        body(connection)
        if endsBurst, isInBurst {
            isInBurst = false
            return bus.executor.endBurst()
        }
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
        isInBurst = true
        bus.executor.beginBurst()
        connection.received(bytes)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isInBurst = false
        bus.executor.endBurst()
        context.fireChannelReadComplete()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        onBus { $0.writabilityChanged() }
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        onBus(endsBurst: true) { $0.ended(QiError(.disconnected, "the connection was closed by the other side")) }
        context.fireChannelInactive()
    }

    /// The only end that a channel tells which was closed before it was active.
    func handlerRemoved(context: ChannelHandlerContext) {
        onBus(endsBurst: true) { $0.ended(QiError(.disconnected, "the connection was closed before it was used")) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let reason = error as? QiError ?? QiError(.disconnected, "the connection was lost: \(error)", cause: error)
        onBus(endsBurst: true) { $0.ended(reason) }
        context.close(promise: nil)
    }
}

@available(*, unavailable)
extension ConnectionHandler: Sendable {}
