import Crypto
import NIOCore
import NIOSSL
import NIOTLS

/// Sits above TLS: tells the connection who the peer has proven to be, and says in words why a handshake failed.
final class TLSIdentityHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let connection: Connection
    private let mutual: Bool
    private var isDone = false

    init(_ connection: Connection, mutual: Bool) {
        self.connection = connection
        self.mutual = mutual
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted? = event as? TLSUserEvent {
            isDone = true
            if mutual { identify(context) }
        }
        context.fireUserInboundEventTriggered(event)
    }

    private func identify(_ context: ChannelHandlerContext) {
        do {
            guard case .tls(let host, _) = connection.origin,
                let certificate = try context.pipeline.syncOperations.nioSSL_peerCertificate()
            else { throw QiError(.denied, "the peer showed no certificate") }
            let key = try certificate.extractPublicKey().toSPKIBytes()
            connection.origin = .tls(host: host, fingerprint: Self.hex(SHA256.hash(data: key)))
        } catch {
            context.fireErrorCaught(error)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard !isDone, error is NIOSSLError || error is BoringSSLError || error is NIOSSLExtraError else {
            return context.fireErrorCaught(error)
        }
        context.fireErrorCaught(
            QiError(
                .denied, "the TLS handshake with \(connection.origin) failed: \(error)",
                hint: "does the other side speak TLS, and do both trust each other's certificates?", cause: error))
    }

    private static func hex(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}

@available(*, unavailable)
extension TLSIdentityHandler: Sendable {}
