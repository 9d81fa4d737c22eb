import Foundation

/// Who pairs with whom, as both devices must see it: roles, bare addresses and keys. A proof covers its bytes, so whoever changes
/// one of them on the way, a server or a relay, makes the proof wrong (reference xmpp §6.3).
struct PairingTranscript: Hashable, Sendable {
    /// One of the two devices.
    struct Party: Hashable, Sendable {
        /// Its bare address.
        var jid: String
        /// The SHA-256 of its public key.
        var key: KeyFingerprint
    }

    /// The device that made the token.
    var enrolling: Party
    /// The device that was given it.
    var pairing: Party

    /// The purpose and a zero byte, then of the enrolling and of the pairing device the address in Unicode form C and the
    /// fingerprint, each after its length in four bytes, the highest first.
    var bytes: [UInt8] {
        var bytes = Array(MeshNamespaces.pairing.utf8) + [0]
        for party in [enrolling, pairing] {
            for part in [Array(party.jid.precomposedStringWithCanonicalMapping.utf8), party.key.digest] {
                withUnsafeBytes(of: UInt32(clamping: part.count).bigEndian) { bytes.append(contentsOf: $0) }
                bytes += part
            }
        }
        return bytes
    }
}
