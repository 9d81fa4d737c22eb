import Crypto
import Foundation

/// The secret of one pairing: 16 random bytes that two devices share by way of a person, and nobody else has (reference xmpp §6.3).
///
/// It never travels through a server. What does is derived from it with HKDF-SHA256 (RFC 5869): a name for the token
/// (``PairingVerifier/handle``), and proofs.
struct PairingToken: Sendable {
    /// 128 bits.
    static let length = 16

    private let secret: [UInt8]

    /// A new token from the system's random number generator.
    static func random() -> PairingToken {
        PairingToken(secret: SymmetricKey(size: .bits128).withUnsafeBytes { Array($0) })
    }

    private init(secret: [UInt8]) { self.secret = secret }

    /// Reads the 22 characters of ``text``; nil for anything else.
    init?(_ text: some StringProtocol) {
        guard let secret = Base64URL.decode(text, count: Self.length) else { return nil }
        self.secret = secret
    }

    /// The token for a person's eyes and cameras: 22 characters that need no quoting in a shell.
    var text: String { Base64URL.encode(secret) }

    /// What the device that made the token keeps of it.
    var verifier: PairingVerifier {
        PairingVerifier(
            handle: derive("handle", 16), pairingHash: Array(SHA256.hash(data: pairingKey)), enrollingKey: derive("enrolling", 32))
    }

    /// What only the device that was given the token can know: its hash is all that the other one keeps.
    var pairingKey: [UInt8] { derive("pairing", 32) }

    private func derive(_ purpose: String, _ count: Int) -> [UInt8] {
        let key = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: SymmetricKey(data: secret), info: Data("\(MeshNamespaces.pairing) \(purpose)".utf8),
            outputByteCount: count)
        return key.withUnsafeBytes { Array($0) }
    }
}

extension PairingToken: CustomStringConvertible, CustomReflectable {
    /// Never the secret.
    var description: String { "a pairing token" }

    /// Nothing, so that `dump` cannot print the secret either.
    var customMirror: Mirror { Mirror(self, children: []) }
}
