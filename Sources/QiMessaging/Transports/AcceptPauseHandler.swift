import Glibc
import Logging
import NIOCore

/// On a listening channel: when no descriptor or memory is left for another connection, stops to accept, and goes on when there is.
/// NIO itself would try again without a pause, as the connection that waits keeps the socket readable.
final class AcceptPauseHandler: ChannelInboundHandler {
    typealias InboundIn = any Channel
    typealias InboundOut = any Channel

    /// What a listener does when it cannot accept.
    struct Rules: Sendable {
        let logger: Logger
        /// Whether its peers may use the descriptors that are kept for the owner.
        let usesReserve: Bool
        /// Asked to end a connection.
        let makeRoom: (@Sendable () -> Void)?
    }

    private let rules: Rules
    private var retry: Scheduled<Void>?

    /// Between two looks whether there are descriptors again.
    private static let pause = TimeAmount.milliseconds(250)

    init(_ rules: Rules) { self.rules = rules }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? IOError, [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(error.errnoCode) else {
            return context.fireErrorCaught(error)
        }
        if error.errnoCode == EMFILE || error.errnoCode == ENFILE { Descriptors.exhausted(rules.logger) }
        listen(false, context)
        if rules.usesReserve, Descriptors.releaseOne() {
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            context.eventLoop.execute { bound.value.0.listen(true, bound.value.1) }
        } else {
            rules.makeRoom?()
        }
        lookLater(context)
    }

    private func lookLater(_ context: ChannelHandlerContext) {
        guard retry == nil else { return }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        retry = context.eventLoop.scheduleTask(in: Self.pause) { bound.value.0.look(bound.value.1) }
    }

    private func look(_ context: ChannelHandlerContext) {
        retry = nil
        guard context.channel.isActive else { return }
        if Descriptors.haveReturned(rules.logger) { return listen(true, context) }
        if rules.usesReserve, Descriptors.hasReserve { listen(true, context) } else { rules.makeRoom?() }
        lookLater(context)
    }

    private func listen(_ isOn: Bool, _ context: ChannelHandlerContext) {
        do {
            try context.channel.syncOptions?.setOption(.autoRead, value: isOn)
        } catch {
            // A channel that was closed meanwhile.
            context.fireErrorCaught(error)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        retry?.cancel()
        retry = nil
    }
}

@available(*, unavailable)
extension AcceptPauseHandler: Sendable {}
