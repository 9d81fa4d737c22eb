import Foundation
import Testing

@testable import QiMesh

/// The bytes of proofs. The expected values were computed with another implementation of HMAC and HKDF (Python's hashlib).
@Suite struct PairingProofTests {
    @Test func derivesWhatTheVectorsSay() throws {
        let verifier = try Sample.token().verifier
        #expect(hex(verifier.handle) == "be6ba17f6312d1d31d81c66ab7d60fe2")
        #expect(hex(verifier.enrollingKey) == "4239e55031ad9a9f37fbcb9d622025765b29c7b3356f752a9864f570bddd35ab")
        #expect(hex(verifier.pairingHash) == "57b5e752e1c071a2b9ce2f2421c2f05f67a4ea779a492b6e6162779d0f8f7a9d")
        #expect(try hex(Sample.token().pairingKey) == "222c98f16ce91ea6ee989b5f3cae2b86808dcbcd3ec65622233b5e570db87420")
    }

    @Test func transcriptHasRolesAddressesAndKeys() {
        let expected = "75726e3a71696d6573683a706169723a310000000010706570706572406d6573682e74657374000000204bf5122f344554c53bde2ebb8cd2b7e3d"
            + "1600ad631c385a5d7cce23c7785459a0000000e6465736b406d6573682e7465737400000020dbc1b4c900ffe48d575b5da5c638040125f65db0fe3e"
            + "24494b76ea986457d986"
        #expect(hex(Sample.transcript.bytes) == expected)
    }

    @Test func proofAndAnswerAreThoseOfTheVectors() throws {
        let token = try Sample.token()
        let proof = PairingProof.make(token, Sample.transcript)
        #expect(hex(proof) == "f2300f7fd5404fdffd6027d93b690a468a973f358c01e1bc2d2d336a63921888")
        #expect(PairingProof.isValid(proof, token.verifier, Sample.transcript))
        let answer = PairingProof.answer(token.verifier, Sample.transcript)
        #expect(hex(answer) == "f6721296e9cc616aaf9c9ef54a3045aed540214bc85adf8afc7322eecd0b98b5")
        #expect(PairingProof.isValidAnswer(answer, token, Sample.transcript))
    }

    /// Whoever changes anything on the way makes both proofs wrong: the keys, the addresses, who is who.
    @Test func everyChangeMakesProofsWrong() throws {
        let token = try Sample.token()
        let proof = PairingProof.make(token, Sample.transcript)
        let answer = PairingProof.answer(token.verifier, Sample.transcript)
        var changes: [PairingTranscript] = []
        for change: (inout PairingTranscript) -> Void in [
            { $0.pairing.key = key(3) }, { $0.enrolling.key = key(3) }, { $0.pairing.jid = "eve@mesh.test" },
            { $0.enrolling.jid = "eve@mesh.test" }, { swap(&$0.pairing, &$0.enrolling) },
            { ($0.pairing.jid, $0.enrolling.jid) = ($0.enrolling.jid, $0.pairing.jid) },
            // The same bytes with the border between two fields moved.
            { ($0.enrolling.jid, $0.pairing.jid) = ("pepper@mesh.tes", "tdesk@mesh.test") },
        ] {
            var transcript = Sample.transcript
            change(&transcript)
            changes.append(transcript)
        }
        for changed in changes {
            #expect(!PairingProof.isValid(proof, token.verifier, changed), "\(changed)")
            #expect(!PairingProof.isValidAnswer(answer, token, changed), "\(changed)")
        }
    }

    @Test func everyFlippedBitAndWrongLengthIsRefused() throws {
        let token = try Sample.token()
        let proof = PairingProof.make(token, Sample.transcript)
        let answer = PairingProof.answer(token.verifier, Sample.transcript)
        for bit in 0..<(proof.count * 8) {
            var (forgedProof, forgedAnswer) = (proof, answer)
            forgedProof[bit / 8] ^= 1 << (bit % 8)
            forgedAnswer[bit / 8] ^= 1 << (bit % 8)
            #expect(!PairingProof.isValid(forgedProof, token.verifier, Sample.transcript))
            #expect(!PairingProof.isValidAnswer(forgedAnswer, token, Sample.transcript))
        }
        #expect(!PairingProof.isValid([], token.verifier, Sample.transcript))
        #expect(!PairingProof.isValid(proof + [0], token.verifier, Sample.transcript))
        #expect(!PairingProof.isValidAnswer(Array(answer.dropLast()), token, Sample.transcript))
    }

    /// What the enrolling device keeps, and what a server sees of the exchange, make no proof for anybody else.
    @Test func theVerifierAloneProvesNothing() throws {
        let token = try Sample.token()
        let verifier = token.verifier
        let other = PairingTranscript(enrolling: Sample.enrolling, pairing: .init(jid: "eve@mesh.test", key: key(9)))
        for guess in [verifier.pairingHash, verifier.enrollingKey, PairingProof.answer(verifier, other), PairingProof.make(token, Sample.transcript)] {
            #expect(!PairingProof.isValid(guess, verifier, other))
        }
    }

    @Test func otherSpellingsOfAnAddressAreTheSameAddress() throws {
        let token = try Sample.token()
        var composed = Sample.transcript
        composed.pairing.jid = "ren\u{E9}@mesh.test"
        var decomposed = Sample.transcript
        decomposed.pairing.jid = "rene\u{301}@mesh.test"
        #expect(PairingProof.isValid(PairingProof.make(token, composed), token.verifier, decomposed))
    }

    @Test func tokensAreRandomAndShowNothing() {
        let tokens = (0..<64).map { _ in PairingToken.random() }
        #expect(Set(tokens.map(\.text)).count == 64)
        for token in tokens {
            #expect(token.text.utf8.count == 22)
            var dumped = ""
            dump(token, to: &dumped)
            dump(token.verifier, to: &dumped)
            #expect(!("\(token) \(token.verifier)" + dumped).contains(token.text))
        }
    }

    @Test func comparesWithoutEarlyEnd() {
        #expect(ConstantTime.areEqual([], []))
        #expect(ConstantTime.areEqual([1, 2, 3], [1, 2, 3]))
        #expect(!ConstantTime.areEqual([1, 2, 3], [1, 2, 4]))
        #expect(!ConstantTime.areEqual([0, 2, 3], [1, 2, 3]))
        #expect(!ConstantTime.areEqual([1, 2], [1, 2, 3]))
    }
}
