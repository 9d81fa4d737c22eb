import NIOCore

/// The last handler of a path's channel, behind those that encrypt: exchanges the greetings, then hands frames to the stream.
///
///     opener:    hello ──▶  welcome or refused ──▶ attached
///     answerer:  (waits) ──▶ hello ──▶ welcome, attached; or refused, closed
///
/// A path that does not get so far in 20 s is closed.
final class StreamPathHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    /// What one side does with the first frame of the other.
    protocol Side: AnyObject {
        /// What is sent at the beginning; nil: nothing.
        func hello() -> StreamHello?
        /// The first frame came. The stream that the path carries from now on, and what is answered before; nil: the path is closed behind the
        /// answer.
        func greeted(_ frame: StreamFrame, on channel: any Channel) -> (stream: StreamChannel?, answer: StreamFrame?, attach: () -> Void)
        /// The path ended before.
        func failed(_ reason: QiError)
    }

    private static let patience = TimeAmount.seconds(20)

    private let side: any Side
    private var stream: StreamChannel?
    /// The beginning of a frame that has not come whole.
    private(set) var unread = ByteBuffer()
    private var watchdog: Scheduled<Void>?
    private var isGreeted = false
    private var isOver = false

    init(_ side: any Side) { self.side = side }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { begin(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        begin(context)
        context.fireChannelActive()
    }

    private func begin(_ context: ChannelHandlerContext) {
        guard watchdog == nil, !isOver else { return }
        let channel = context.channel
        watchdog = context.eventLoop.assumeIsolated().scheduleTask(in: Self.patience) { [weak self] in
            self?.fail(QiError(.timedOut, "the other side did not greet within 20 s"), on: channel)
        }
        guard let hello = side.hello() else { return }
        write(.hello(hello), context)
    }

    private func write(_ frame: StreamFrame, _ context: ChannelHandlerContext) {
        var bytes = context.channel.allocator.buffer(capacity: 64)
        StreamFrameCoding.write(frame, to: &bytes)
        context.writeAndFlush(NIOAny(bytes), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isOver else { return }
        stream?.heard(context.channel)
        if unread.readableBytes == 0 {
            unread = unwrapInboundIn(data)
        } else {
            unread.writeImmutableBuffer(unwrapInboundIn(data))
        }
        do throws(StreamFault) {
            while !isOver, let frame = try StreamFrameCoding.read(from: &unread) {
                if let stream { stream.received(frame, on: context.channel) } else { greeted(frame, context) }
            }
        } catch {
            let reason = QiError(.disconnected, "the other side of the path does not keep to its rules: \(error)")
            // Without a stream it only fails; with one the peer is proven, and broken.
            stream?.fail(reason)
            fail(reason, on: context.channel)
        }
        // Without this a peer whose writes never end with a frame would have everything kept that it ever sent.
        if unread.readableBytes == 0 { unread = ByteBuffer() } else { unread.discardReadBytes() }
    }

    private func greeted(_ frame: StreamFrame, _ context: ChannelHandlerContext) {
        guard !isGreeted else { return }
        isGreeted = true
        watchdog?.cancel()
        let (stream, answer, attach) = side.greeted(frame, on: context.channel)
        if let answer { write(answer, context) }
        guard let stream else {
            isOver = true
            return context.close(promise: nil)
        }
        self.stream = stream
        attach()
        // The answer may have met a socket that was closed: then the stream was not told of the end of this path, and is now.
        if isOver { stream.pathEnded(context.channel, "the path was closed at once") }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        stream?.readComplete(context.channel)
        context.fireChannelReadComplete()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        stream?.pathIsWritable(context.channel)
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(QiError(.disconnected, "the path was closed by the other side"), on: context.channel)
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        fail(QiError(.disconnected, "the path was closed before it was used"), on: context.channel)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(error as? QiError ?? QiError(.disconnected, FailureReason.text(error), cause: error), on: context.channel)
    }

    private func fail(_ reason: QiError, on channel: any Channel) {
        guard !isOver else { return }
        isOver = true
        watchdog?.cancel()
        if let stream { stream.pathEnded(channel, reason.message) } else { side.failed(reason) }
        channel.close(promise: nil)
    }
}

@available(*, unavailable)
extension StreamPathHandler: Sendable {}
