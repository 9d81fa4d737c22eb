public import NIOCore
import NIOSSL

/// TLS as every bytestream between two devices carries it: version 1.3, ALPN `qimesh/1`, a certificate from both sides, no
/// resumption (reference "xmpp" §6.4).
///
/// A server's name is not verified, because a device has none that a stranger could vouch for; the key is (``PeerKey``). Add the
/// handlers before the first byte, then those of the qi protocol after them.
///
/// The initiator's handshake is complete before the responder has judged the initiator's certificate: a refusal then arrives as
/// an error on the open connection. Treat the peer as accepted, and pin its key, only when it has answered inside the connection.
public struct TunnelTLS: Sendable {
    /// The one application protocol; another, or none, ends the connection.
    public static let applicationProtocol = "qimesh/1"

    private let configuration: TLSConfiguration

    /// TLS in the name of `identity`.
    public init(identity: DeviceIdentity) {
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: [.certificate(identity.certificate)], privateKey: .privateKey(identity.privateKey))
        configuration.minimumTLSVersion = .tlsv13
        configuration.maximumTLSVersion = .tlsv13
        configuration.applicationProtocols = [Self.applicationProtocol]
        // Not `.none`: that would silently switch off our callback and the request for a client certificate.
        configuration.certificateVerification = .noHostnameVerification
        // Nothing is verified against roots; without this the system's hundreds would be read for every connection.
        configuration.trustRoots = .certificates([])
        configuration.signingSignatureAlgorithms = [.ecdsaSecp256R1Sha256]
        configuration.verifySignatureAlgorithms = [.ecdsaSecp256R1Sha256]
        configuration.renegotiationSupport = .none
        configuration.shutdownTimeout = .seconds(5)
        self.configuration = configuration
    }

    /// Makes `channel` the TLS client: the side that opened the bytestream.
    /// - Parameter peer: where the other side's key is reported; one for each connection.
    /// - Precondition: called on the channel's event loop.
    /// - Throws: `identity` when the identity cannot be used for TLS.
    public func addClientHandlers(to channel: any Channel, peer: PeerKey) throws(MeshError) {
        try add(to: channel) { context in
            try NIOSSLClientHandler(context: context, serverHostname: nil, customVerificationCallback: Self.verification(peer))
        }
    }

    /// Makes `channel` the TLS server: the side that accepted the bytestream. Parameters and errors as for
    /// ``addClientHandlers(to:peer:)``.
    public func addServerHandlers(to channel: any Channel, peer: PeerKey) throws(MeshError) {
        try add(to: channel) { context in
            NIOSSLServerHandler(context: context, customVerificationCallback: Self.verification(peer))
        }
    }

    private func add(to channel: any Channel, _ make: (NIOSSLContext) throws -> NIOSSLHandler) throws(MeshError) {
        do {
            // A context for each connection: its ticket keys die with it, so that no session of one peer is resumed by another,
            // which would pass the verification by.
            let context = try NIOSSLContext(configuration: configuration)
            try channel.pipeline.syncOperations.addHandlers([make(context), ApplicationProtocolHandler()])
        } catch {
            throw MeshError(.identity, "cannot set up TLS with this device's identity", cause: error)
        }
    }

    private static func verification(_ peer: PeerKey) -> NIOSSLCustomVerificationCallback {
        { chain, promise in
            promise.succeed(peer.examined(PeerCertificate.examine(chain)) ? .certificateVerified : .failed)
        }
    }
}
