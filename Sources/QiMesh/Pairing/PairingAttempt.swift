import XMPP

/// What the device that was given a token says, and what it expects to hear.
struct PairingAttempt: Sendable {
    let invitation: PairingInvitation
    /// What the other device will be called here.
    let name: String
    private let transcript: PairingTranscript

    /// - Parameters:
    ///   - own: this device's bare address.
    ///   - key: this device's key.
    init(_ invitation: PairingInvitation, name: String, own: JID, key: KeyFingerprint) {
        self.invitation = invitation
        self.name = name
        transcript = PairingTranscript(
            enrolling: .init(jid: "\(invitation.jid)", key: invitation.key), pairing: .init(jid: "\(own)", key: key))
    }

    /// The token's name, as the subscription request carries it.
    var handle: String { Base64URL.encode(invitation.token.verifier.handle) }

    var offer: PairingOffer {
        PairingOffer(
            handle: invitation.token.verifier.handle, key: transcript.pairing.key,
            proof: PairingProof.make(invitation.token, transcript))
    }

    /// Whether an answer comes from the device that made the token, and that device sees the same addresses and keys.
    func isValid(_ answer: [UInt8]) -> Bool { PairingProof.isValidAnswer(answer, invitation.token, transcript) }
}
