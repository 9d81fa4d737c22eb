import NIOCore
import NIOTLS

/// Ends a connection whose handshake did not agree on `qimesh/1`: TLS by itself goes on without an application protocol when the
/// two sides name none in common (RFC 7301 §3.2 wants an alert, BoringSSL leaves it to the application).
final class ApplicationProtocolHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private var isRefused = false

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted(let negotiated)? = event as? TLSUserEvent, negotiated != TunnelTLS.applicationProtocol {
            isRefused = true
            let offered = negotiated.map { "\"\($0)\"" } ?? "nothing"
            let message = "the peer speaks \(offered) inside TLS instead of \"\(TunnelTLS.applicationProtocol)\""
            context.fireErrorCaught(MeshError(.violation, message))
            context.close(promise: nil)
            return
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // Closing TLS waits for the peer's farewell; what a rude one sends meanwhile must not reach the qi protocol.
        if !isRefused { context.fireChannelRead(data) }
    }
}
