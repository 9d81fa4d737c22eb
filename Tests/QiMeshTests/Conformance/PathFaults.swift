import NIOCore

@testable import QiMessaging

/// What a test does to a path in use.
enum PathHarm: CaseIterable {
    /// Nothing travels any more in either direction, and neither side is told.
    case silence
    /// It ends in the middle of a frame on its way to us.
    case cutInbound
    /// It ends in the middle of a frame of ours.
    case cutOutbound
}

/// Loses everything that travels in either direction, once it is told to.
final class SilentHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    var isSilent = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if !isSilent { context.fireChannelRead(data) }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard isSilent else { return context.write(data, promise: promise) }
        promise?.succeed(())
    }
}

/// Lets the first half of a frame through, once it is told to, and closes the path behind it. Stands between TLS and the stream.
final class CutHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    var harm: PathHarm?
    /// Nothing travels behind the half.
    private var isCut = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isCut else { return }
        guard harm == .cutInbound else { return context.fireChannelRead(data) }
        isCut = true
        // A frame's header has four bytes.
        let bytes = unwrapInboundIn(data)
        if let start = bytes.getSlice(at: bytes.readerIndex, length: 2) { context.fireChannelRead(NIOAny(start)) }
        context.close(promise: nil)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard !isCut else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        guard harm == .cutOutbound else { return context.write(data, promise: promise) }
        isCut = true
        // What a stream writes begins with a frame.
        let bytes = unwrapOutboundIn(data)
        let frame = StreamFrameCoding.header + Int(bytes.getInteger(at: bytes.readerIndex, as: UInt32.self) ?? 0) & 0xFF_FFFF
        let half = bytes.getSlice(at: bytes.readerIndex, length: frame / 2) ?? ByteBuffer()
        let channel = context.channel
        context.writeAndFlush(NIOAny(half)).whenComplete { _ in channel.close(promise: nil) }
        promise?.succeed(())
    }
}

/// What answers at an address that is not the device's, after an impeccable SOCKS5 handshake.
enum PathLie: CaseIterable {
    /// TLS with a key of its own.
    case anotherKey
    /// Bytes that are no TLS.
    case garbage
    /// Nothing.
    case nothing
}

/// No TLS: answers whatever comes with bytes of its own, or with nothing.
final class LyingHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let talks: Bool

    init(_ talks: Bool) { self.talks = talks }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard talks else { return }
        context.writeAndFlush(NIOAny(ByteBuffer(string: "HTTP/1.1 200 OK\r\n\r\n")), promise: nil)
    }
}
