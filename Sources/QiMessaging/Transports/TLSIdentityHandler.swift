import Crypto
import NIOCore
import NIOSSL
import NIOTLS

/// Sits above TLS: tells the connection who the peer has proven to be, and says in words why a handshake failed.
final class TLSIdentityHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let connection: Connection
    /// By what name the peer was called, or from where it came.
    private let place: (host: String, text: String)
    private let mutual: Bool
    private let check: TLSFailure.Check?
    private var isDone = false

    /// - Parameters:
    ///   - place: the host that was called and the address in full; of a peer that called us, its address twice.
    ///   - check: what the peer's certificate is checked against.
    init(_ connection: Connection, place: (host: String, text: String), mutual: Bool, check: TLSFailure.Check?) {
        self.connection = connection
        self.place = place
        self.mutual = mutual
        self.check = check
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
            guard let certificate = try context.pipeline.syncOperations.nioSSL_peerCertificate() else {
                throw QiError(.denied, "the peer showed no certificate")
            }
            let key = try certificate.extractPublicKey().toSPKIBytes()
            connection.origin.identity = .certificate(Self.fingerprint(ofKey: key))
        } catch {
            context.fireErrorCaught(error)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard !isDone, error is NIOSSLError || error is BoringSSLError || error is NIOSSLExtraError else {
            return context.fireErrorCaught(error)
        }
        // Still there: its handler has failed, and has not gone yet.
        let certificate = (try? context.pipeline.syncOperations.nioSSL_peerCertificate()).flatMap { $0 }
        let reason = TLSFailure.text(error, certificate: certificate, check: check, host: place.host, now: WallClock.seconds)
        context.fireErrorCaught(QiError(.denied, "the TLS handshake with \(place.text) failed: \(reason)", cause: error))
    }

    /// SHA-256 of a SubjectPublicKeyInfo, 64 hexadecimal digits.
    static func fingerprint(ofKey bytes: [UInt8]) -> String { hex(SHA256.hash(data: bytes)) }

    private static func hex(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}

@available(*, unavailable)
extension TLSIdentityHandler: Sendable {}
