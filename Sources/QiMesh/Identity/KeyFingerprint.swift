import Crypto
import Foundation

/// The SHA-256 of a public key's SubjectPublicKeyInfo (RFC 5280 §4.1.2.7): what a device is known by, whatever certificate
/// carries the key.
///
/// Written as `SHA256:` and 43 characters of base64 without padding, as `ssh-keygen` does, so that two people can compare it
/// aloud.
public struct KeyFingerprint: Hashable, Sendable, LosslessStringConvertible {
    /// 32 bytes.
    let digest: [UInt8]

    private static let prefix = "SHA256:"

    /// A fingerprint from its 32 bytes.
    init(digest: [UInt8]) { self.digest = digest }

    /// The fingerprint of a key given as DER of its SubjectPublicKeyInfo.
    public init(subjectPublicKeyInfo bytes: some Sequence<UInt8>) {
        digest = Array(SHA256.hash(data: Array(bytes)))
    }

    /// Reads the written form exactly; `nil` for anything else, other spellings of the same bytes included.
    public init?(_ description: String) {
        guard description.hasPrefix(Self.prefix) else { return nil }
        let encoded = description.dropFirst(Self.prefix.count)
        guard encoded.utf8.count == 43, let data = Data(base64Encoded: encoded + "="), data.count == 32 else { return nil }
        digest = Array(data)
        // Unused bits of the last character must be zero, or one key had several texts.
        guard self.description == description else { return nil }
    }

    /// `SHA256:` and base64 without padding.
    public var description: String {
        let encoded = Data(digest).base64EncodedString()
        return Self.prefix + encoded.prefix { $0 != "=" }
    }
}
