import Crypto
import Foundation

/// The two proofs of a pairing, made as SCRAM makes its own (RFC 5802 §3) with SHA-256 and a random secret in a password's place:
/// what the enrolling device keeps judges proofs and cannot make one, and what a server sees of one proof serves for no other.
enum PairingProof {
    /// 32 bytes.
    static let length = 32

    /// The pairing device knows the token and says who is who: its key XOR the HMAC of the transcript under that key's hash.
    static func make(_ token: PairingToken, _ transcript: PairingTranscript) -> [UInt8] {
        xor(token.pairingKey, authenticate(transcript, token.verifier.pairingHash))
    }

    /// Whether a proof is right for this token and this transcript. Takes the same time whatever is wrong.
    static func isValid(_ proof: [UInt8], _ verifier: PairingVerifier, _ transcript: PairingTranscript) -> Bool {
        guard proof.count == length else { return false }
        let key = xor(proof, authenticate(transcript, verifier.pairingHash))
        return ConstantTime.areEqual(Array(SHA256.hash(data: key)), verifier.pairingHash)
    }

    /// The enrolling device's answer: it made the token, and sees the same addresses and keys.
    static func answer(_ verifier: PairingVerifier, _ transcript: PairingTranscript) -> [UInt8] {
        authenticate(transcript, verifier.enrollingKey)
    }

    /// Whether the answer is right.
    static func isValidAnswer(_ answer: [UInt8], _ token: PairingToken, _ transcript: PairingTranscript) -> Bool {
        HMAC<SHA256>.isValidAuthenticationCode(
            answer, authenticating: transcript.bytes, using: SymmetricKey(data: token.verifier.enrollingKey))
    }

    private static func authenticate(_ transcript: PairingTranscript, _ key: [UInt8]) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: transcript.bytes, using: SymmetricKey(data: key)))
    }

    private static func xor(_ first: [UInt8], _ second: [UInt8]) -> [UInt8] { zip(first, second).map { $0 ^ $1 } }
}
