import NIOCore

@testable import XMPP

/// Writes down what a channel does.
final class Recorder: Sendable {
    private struct State: Sendable {
        var channel: (any Channel)?
        var error: XMPPError?
        var completions = 0
        var events: [String] = []
        var received = ByteBuffer()
        var errors: [String] = []
        var isClosed = false
    }

    private let state = Locked(State())
    private let echoes: Bool

    /// With `echoes` everything read is written back.
    init(echoes: Bool = false) {
        self.echoes = echoes
    }

    var channel: (any Channel)? { state.withLock { $0.channel } }
    var error: XMPPError? { state.withLock { $0.error } }
    var completions: Int { state.withLock { $0.completions } }
    var events: [String] { state.withLock { $0.events } }
    var received: [UInt8] { state.withLock { Array($0.received.readableBytesView) } }
    var receivedText: String { state.withLock { String(buffer: $0.received) } }
    var errors: [String] { state.withLock { $0.errors } }
    var isClosed: Bool { state.withLock { $0.isClosed } }

    func install(on channel: any Channel) -> EventLoopFuture<Void> {
        state.withLock { $0.channel = channel }
        channel.closeFuture.whenComplete { _ in self.state.withLock { $0.isClosed = true } }
        return channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(Handler(recorder: self))
        }
    }

    func completed(_ result: Result<any Channel, XMPPError>) {
        state.withLock { state in
            state.completions += 1
            if case .failure(let error) = result { state.error = error }
        }
    }

    func write(_ text: String) {
        channel?.writeAndFlush(ByteBuffer(string: text), promise: nil)
    }

    fileprivate func note(_ event: String) { state.withLock { $0.events.append(event) } }
    fileprivate func note(_ error: any Error) {
        state.withLock { $0.errors.append((error as? XMPPError)?.code.description ?? "\(error)") }
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        let recorder: Recorder

        init(recorder: Recorder) { self.recorder = recorder }

        func channelRegistered(context: ChannelHandlerContext) {
            recorder.note("registered")
            context.fireChannelRegistered()
        }

        func channelUnregistered(context: ChannelHandlerContext) {
            recorder.note("unregistered")
            context.fireChannelUnregistered()
        }

        func channelActive(context: ChannelHandlerContext) {
            recorder.note("active")
            context.fireChannelActive()
        }

        func channelInactive(context: ChannelHandlerContext) {
            recorder.note("inactive")
            context.fireChannelInactive()
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var bytes = unwrapInboundIn(data)
            recorder.note("read \(bytes.readableBytes)")
            if recorder.echoes { context.write(wrapOutboundOut(bytes), promise: nil) }
            recorder.state.withLock { _ = $0.received.writeBuffer(&bytes) }
        }

        func channelReadComplete(context: ChannelHandlerContext) {
            if recorder.echoes { context.flush() }
            context.fireChannelReadComplete()
        }

        func channelWritabilityChanged(context: ChannelHandlerContext) {
            recorder.note(context.channel.isWritable ? "writable" : "full")
            context.fireChannelWritabilityChanged()
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            recorder.note(error)
        }

        func handlerRemoved(context: ChannelHandlerContext) { recorder.note("removed") }
    }
}
