/// What the device that made a token keeps of it: enough to recognise the token and to judge proofs of it, not enough to make one.
struct PairingVerifier: Hashable, Sendable {
    /// The token's name, which servers see in the subscription request (XEP-0379 §3.3). 16 bytes.
    var handle: [UInt8]
    /// The SHA-256 of the key that only the pairing device has, as SCRAM's StoredKey (RFC 5802 §3). 32 bytes.
    var pairingHash: [UInt8]
    /// What this device answers a proof with, as SCRAM's ServerKey. 32 bytes.
    var enrollingKey: [UInt8]
}

extension PairingVerifier: CustomStringConvertible, CustomReflectable {
    /// Never the keys.
    var description: String { "a token's verifier" }

    /// Nothing, so that `dump` cannot print the keys either.
    var customMirror: Mirror { Mirror(self, children: []) }
}
