import NIOSSL
import SwiftASN1
import X509

/// The rule which certificates devices may show each other: exactly one, for a P-256 key, signed by that key (reference "xmpp"
/// §6.4).
///
/// Whose key it is gets decided elsewhere (``TrustStore``). Names and dates are not looked at: a self-signed certificate proves
/// none of them, and robots have wrong clocks.
enum PeerCertificate {
    /// The beginning of every P-256 SubjectPublicKeyInfo with an uncompressed point (RFC 5480 §2): 26 bytes, then 65 of the
    /// point, which starts with 4.
    private static let p256Prefix: [UInt8] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
        0x03,
        0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
    ]
    private static let p256Length = 91
    /// Ours have about 400 bytes.
    private static let sizeLimit = 4_096

    /// The fingerprint of the key in a chain as the peer sent it, or what is wrong with the chain.
    static func examine(_ chain: [NIOSSLCertificate]) -> Result<KeyFingerprint, MeshError> {
        guard chain.count == 1, let presented = chain.first else {
            return .failure(MeshError(.violation, "the peer sent \(chain.count) certificates instead of one"))
        }
        do {
            let bytes = try presented.toDERBytes()
            guard bytes.count <= sizeLimit else {
                return .failure(MeshError(.violation, "the peer's certificate has \(bytes.count) bytes, more than \(sizeLimit)"))
            }
            let key = try presented.extractPublicKey().toSPKIBytes()
            guard key.count == p256Length, key.starts(with: p256Prefix) else {
                return .failure(MeshError(.violation, "the key in the peer's certificate is not of the kind P-256"))
            }
            let certificate = try Certificate(derEncoded: bytes)
            guard certificate.issuer == certificate.subject, certificate.signatureAlgorithm == .ecdsaWithSHA256,
                certificate.publicKey.isValidSignature(certificate.signature, for: certificate)
            else {
                return .failure(MeshError(.violation, "the peer's certificate is not signed by its own key"))
            }
            return .success(KeyFingerprint(subjectPublicKeyInfo: key))
        } catch {
            return .failure(MeshError(.violation, "the peer's certificate cannot be read", cause: error))
        }
    }
}
