import NIOCore

/// Carries out ``SOCKS5ServerStateMachine`` on a connection to a streamhost of ours. Leaves a ``HeldBytesHandler`` behind.
final class SOCKS5ServerHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var machine = SOCKS5ServerStateMachine()
    private let patience: TimeAmount
    private let decide: (String) -> Bool
    private let arrived: (any Channel) -> Void
    private var deadline: Scheduled<Void>?
    private var isDone = false

    /// - Parameters:
    ///   - patience: how long the handshake may take.
    ///   - decide: whether the bytestream of that name may be joined; asked at most once.
    ///   - arrived: hears of the connection before its peer does.
    init(patience: TimeAmount, decide: @escaping (String) -> Bool, arrived: @escaping (any Channel) -> Void) {
        self.patience = patience
        self.decide = decide
        self.arrived = arrived
    }

    func handlerAdded(context: ChannelHandlerContext) {
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: patience) { context.close(promise: nil) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        deadline?.cancel()
        deadline = nil
    }

    func channelActive(context: ChannelHandlerContext) {}

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // Between the end and this handler's removal.
        guard !isDone else { return context.fireChannelRead(data) }
        machine.received(unwrapInboundIn(data))
        while true {
            switch machine.next() {
            case .wait: return
            case .send(let bytes): context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
            case .decide(let name): return decided(decide(name), context)
            case .fail(_, let answer): return refuse(context, answer)
            }
        }
    }

    private func decided(_ isGranted: Bool, _ context: ChannelHandlerContext) {
        switch machine.decided(isGranted: isGranted) {
        case .nothing: break
        case .fail(_, let answer): refuse(context, answer)
        case .connected(let answer, let rest):
            isDone = true
            do {
                try HeldBytesHandler.hold(rest, in: context, insteadOf: self)
            } catch {
                return context.close(promise: nil)
            }
            // The peer may tell of it by a stanza as soon as it has the answer.
            arrived(context.channel)
            context.channel.writeAndFlush(answer, promise: nil)
        }
    }

    private func refuse(_ context: ChannelHandlerContext, _ answer: ByteBuffer) {
        isDone = true
        guard answer.readableBytes > 0 else { return context.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(answer)).assumeIsolated().whenComplete { _ in context.close(promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        _ = machine.closed()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard !isDone else { return context.fireErrorCaught(error) }
        context.close(promise: nil)
    }
}
