import Foundation
import Testing

@testable import QiMesh
@testable import XMPP

/// A pairing as the vectors have it: token 00 01 … 0f, `pepper` with ``key(1)`` made it, `desk` with ``key(2)`` was given it.
enum Sample {
    static let pepper = "pepper@mesh.test"
    static let desk = "desk@mesh.test"
    static let tokenText = "AAECAwQFBgcICQoLDA0ODw"

    static func token() throws -> PairingToken { try #require(PairingToken(tokenText)) }

    static let enrolling = PairingTranscript.Party(jid: pepper, key: key(1))
    static let transcript = PairingTranscript(enrolling: enrolling, pairing: .init(jid: desk, key: key(2)))

    /// What a device that knows `token` sends.
    static func offer(
        _ token: PairingToken, from jid: String = desk, key shown: KeyFingerprint = key(2), to party: PairingTranscript.Party = enrolling
    ) -> PairingOffer {
        let transcript = PairingTranscript(enrolling: party, pairing: .init(jid: jid, key: shown))
        return PairingOffer(handle: token.verifier.handle, key: shown, proof: PairingProof.make(token, transcript))
    }
}

func hex(_ bytes: [UInt8]) -> String { bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }
