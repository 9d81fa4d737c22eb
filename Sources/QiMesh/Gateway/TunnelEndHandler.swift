import NIOCore
import QiMessaging
import XMPP

/// Tells the qi protocol of a tunnel why the bytestream beneath it ended, in words: the errors of the XMPP client and of this module name
/// a code first when they are printed, and that text reaches clients and logs. Stands right before the handler of the qi protocol.
final class TunnelEndHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.fireErrorCaught(Self.told(error))
    }

    private static func told(_ error: any Error) -> any Error {
        guard let words = words(of: error) else { return error }
        return QiError(.disconnected, "the connection was lost: \(words)", cause: error)
    }

    /// What happened, without codes; nil for an error of another layer.
    static func words(of error: any Error) -> String? { (error as? XMPPError)?.message ?? (error as? MeshError)?.message }
}
