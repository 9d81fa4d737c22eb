import NIOCore

/// Carries out ``SOCKS5ClientStateMachine`` on a socket that was dialled. Leaves a ``HeldBytesHandler`` behind.
final class SOCKS5ClientHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var machine: SOCKS5ClientStateMachine
    private let done: EventLoopPromise<Void>
    private var isDone = false

    /// - Parameter done: the connection is the application's, or why it never will be (`SOCKS5Fault`, or the socket's error).
    init(_ machine: SOCKS5ClientStateMachine, done: EventLoopPromise<Void>) {
        self.machine = machine
        self.done = done
    }

    func channelActive(context: ChannelHandlerContext) {
        guard let greeting = machine.begin() else { return }
        context.writeAndFlush(wrapOutboundOut(greeting), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // Between the end and this handler's removal.
        guard !isDone else { return context.fireChannelRead(data) }
        machine.received(unwrapInboundIn(data))
        while true {
            switch machine.next() {
            case .wait: return
            case .send(let bytes): context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
            case .connected(let rest): return connected(context, rest)
            case .fail(let fault): return fail(fault, context)
            }
        }
    }

    private func connected(_ context: ChannelHandlerContext, _ rest: ByteBuffer) {
        isDone = true
        do {
            try HeldBytesHandler.hold(rest, in: context, insteadOf: self)
            done.succeed(())
        } catch {
            fail(error, context)
        }
    }

    private func fail(_ error: any Error, _ context: ChannelHandlerContext) {
        done.fail(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if let fault = machine.closed() { done.fail(fault) }
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard !isDone else { return context.fireErrorCaught(error) }
        fail(error, context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        // A socket that closed before it was active tells of neither.
        if let fault = machine.closed() { done.fail(fault) }
    }
}
