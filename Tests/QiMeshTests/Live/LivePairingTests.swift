@testable import QiMesh
import QiMeshTesting
@testable import QiMessaging
import QiWire
import Testing
import XMPP

extension Live {
    /// Pairing by token between whole nodes (reference xmpp §5.3, §6.3).
    @Suite struct PairingTests {
        /// The text of the error that a control call ends with.
        private static func refusal(_ body: () async throws -> some Sendable) async -> String {
            do {
                return "no error: \(try await body())"
            } catch {
                return (error as? MeshError).map { "\($0.code): \($0)" } ?? "\(error)"
            }
        }


        @Test func twoFreshDevicesPairWithNothingButTheToken() async throws {
            try await withMesh(meeting: false) { mesh in
                let made = try await mesh.pepper.enroll(name: "work")
                let paired = try await mesh.desk.pair(made.token)
                #expect(paired.jid == mesh.pepper.jid)
                #expect(paired.name == "pepper")
                // Pinned on both sides before any call.
                #expect(try mesh.desk.pin(of: mesh.pepper.jid) == mesh.pepper.fingerprint())
                #expect(try mesh.pepper.pin(of: mesh.desk.jid) == mesh.desk.fingerprint())
                _ = try await eventually("each sees the other") {
                    let desk = try await mesh.pepper.row(of: "work")?.state
                    let pepper = try await mesh.desk.row(of: "pepper")?.state
                    return desk == "online" && pepper == "online" ? true : nil
                }
                try await mesh.desk.session { session in
                    let service = try await session.service("pepper/Peer")
                    #expect(try await service.call("echo_int32", Int32(7)) == Int32(7))
                }
                let list = try await mesh.pepper.control { try await $0.enrollments() }.enrollments
                #expect(list.map(\.state) == ["used"])
                #expect(list.first?.use?.usedBy == mesh.desk.jid)
                #expect(try await mesh.pepper.status().pairing.outstanding == 0)
            }
        }

        /// The thief comes second: it gets nothing, and both sides are told.
        @Test func aStolenTokenUsedSecondFailsAndBothAreTold() async throws {
            try await withMesh(others: ["carol"], meeting: false) { mesh in
                let token = try await mesh.pepper.enroll().token
                _ = try await mesh.desk.pair(token)
                let invitation = try PairingInvitation(parsing: token)
                let pepper = try #require(invitation.address)
                try await withStranger("carol", in: mesh) { carol in
                    let jid = "carol@\(mesh.xmpp.domain)"
                    let transcript = PairingTranscript(
                        enrolling: .init(jid: mesh.pepper.jid, key: invitation.key), pairing: .init(jid: jid, key: key(3)))
                    let offer = PairingOffer(
                        handle: invitation.token.verifier.handle, key: key(3), proof: PairingProof.make(invitation.token, transcript))
                    let answer = await #expect(throws: XMPPError.self) { _ = try await carol.iq(to: pepper, .set, offer.element) }
                    #expect(PairingAnswer(answer?.stanzaError) == .refused(.used))
                    let refused = try await mesh.pepper.status().pairing.refused
                    #expect(refused.map(\.jid) == [jid])
                    #expect(refused.first?.reason == "used-token")
                    #expect(refused.first?.knewToken == true)
                    #expect(try mesh.pepper.pin(of: jid) == nil)
                    #expect(try await mesh.pepper.row(of: jid) == nil)
                }
            }
        }

        @Test func aSecondDeviceWithAUsedTokenIsToldAndKeepsNothing() async throws {
            try await withMesh(meeting: false) { mesh in
                let token = try await mesh.pepper.enroll().token
                try await mesh.withNode("carol") { carol in
                    _ = try await mesh.desk.pair(token)
                    let text = await Self.refusal { try await carol.pair(token) }
                    #expect(text.hasPrefix("denied: this token was used already"), "\(text)")
                    #expect(text.contains("qimesh enroll --list"))
                    #expect(try carol.pin(of: mesh.pepper.jid) == nil)
                    _ = try await eventually("carol keeps no half-made contact") {
                        try await carol.row(of: mesh.pepper.jid) == nil ? true : nil
                    }
                }
            }
        }

        @Test func expiredCancelledAndUnknownTokensAreRefused() async throws {
            try await withMesh(meeting: false) { mesh in
                let short = try await mesh.pepper.enroll(seconds: 1).token
                _ = try await eventually("the token has expired") {
                    try await mesh.pepper.control { try await $0.enrollments() }.enrollments.first?.state == "expired" ? true : nil
                }
                let expired = await Self.refusal { try await mesh.desk.pair(short) }
                #expect(expired.hasPrefix("denied: this token has expired"), "\(expired)")

                let made = try await mesh.pepper.enroll()
                _ = try await mesh.pepper.control { try await $0.cancelEnrollment(made.id) }
                let cancelled = await Self.refusal { try await mesh.desk.pair(made.token) }
                #expect(cancelled.contains("has taken this token back"), "\(cancelled)")

                var other = try PairingInvitation(parsing: try await mesh.pepper.enroll().token)
                other.token = .random()
                let unknown = await Self.refusal { try await mesh.desk.pair(other.text) }
                #expect(unknown.hasPrefix("denied: \(mesh.pepper.jid) does not know this token"), "\(unknown)")

                // The other device is not the one that the token names.
                var wrongKey = try PairingInvitation(parsing: try await mesh.pepper.enroll().token)
                wrongKey.key = key(5)
                let refused = await Self.refusal { try await mesh.desk.pair(wrongKey.text) }
                #expect(refused.hasPrefix("denied: \(mesh.pepper.jid) refuses the proof"), "\(refused)")
                #expect(try mesh.desk.pin(of: mesh.pepper.jid) == nil)
                #expect(try mesh.pepper.pin(of: mesh.desk.jid) == nil)
            }
        }

        @Test func whatIsNoTokenIsNotTried() async throws {
            try await withMesh(meeting: false) { mesh in
                let nonsense = await Self.refusal { try await mesh.desk.pair("xmpp:pepper@mesh.test?roster") }
                #expect(nonsense.hasPrefix("usage: that is no pairing token"), "\(nonsense)")
                let own = try await mesh.desk.enroll().token
                let mirrored = await Self.refusal { try await mesh.desk.pair(own) }
                #expect(mirrored.contains("which is this device"), "\(mirrored)")
                let long = await Self.refusal { try await mesh.pepper.enroll(seconds: 100_000) }
                #expect(long.hasPrefix("usage: "), "\(long)")
            }
        }

        /// A server that answers in the device's place does not know the token.
        @Test func aForgedAnswerPinsNothing() async throws {
            try await withMesh(others: ["carol"], meeting: false) { mesh in
                try await withStranger("carol", in: mesh) { carol in
                    carol.handleIQFromAnybody(namespace: MeshNamespaces.pairing, name: PairingOffer.name) { request in
                        // All that a server sees of the exchange, thrown back.
                        PairingAnswer.accepted(proof: PairingOffer(request.payload)?.proof ?? []).result
                    }
                    let invitation = PairingInvitation(
                        jid: try #require(carol.boundJID), token: .random(), key: key(6), resource: "qimesh", name: "carol")
                    let text = await Self.refusal { try await mesh.desk.pair(invitation.text) }
                    #expect(text.contains("does not know the token"), "\(text)")
                    #expect(try mesh.desk.pin(of: "carol@\(mesh.xmpp.domain)") == nil)
                }
            }
        }

        /// What the owner has ended stays ended: the token that made it makes it no more.
        @Test func aDeniedDeviceDoesNotComeBackByItsToken() async throws {
            try await withMesh(meeting: false) { mesh in
                let token = try await mesh.pepper.enroll().token
                _ = try await mesh.desk.pair(token)
                _ = try await mesh.pepper.control { try await $0.deny(mesh.desk.jid) }
                let text = await Self.refusal { try await mesh.desk.pair(token) }
                #expect(text.hasPrefix("denied: this token was used already"), "\(text)")
                let contact = try TrustStore(file: mesh.pepper.paths.trustFile).contact(mesh.desk.jid, of: mesh.pepper.jid)
                #expect(contact == nil)
                // A new token is the owner's word again.
                _ = try await mesh.desk.pair(try await mesh.pepper.enroll().token)
                let written = try await eventually("both pairings and the end are audited") { () -> [String]? in
                    var said: [String] = []
                    _ = try AuditReader([mesh.pepper.paths.auditFile]).read { line in
                        if line.record.event == "contact" { said.append(line.record.access) }
                    }
                    return said.count >= 3 ? said : nil
                }
                #expect(written == ["paired", "ended", "paired"])
            }
        }

        /// An address that was revoked shows a key that is another's: that is said, and the token stays good.
        @Test func aKeyOfAnotherIsRefusedForARevokedAddressAsWell() async throws {
            try await withMesh(others: ["carol"], meeting: false) { mesh in
                _ = try await mesh.desk.pair(try await mesh.pepper.enroll().token)
                let jid = "carol@\(mesh.xmpp.domain)"
                try await mesh.pepper.revoke(jid)
                let invitation = try PairingInvitation(parsing: try await mesh.pepper.enroll().token)
                let pepper = try #require(invitation.address)
                try await withStranger("carol", in: mesh) { carol in
                    let key = try mesh.desk.fingerprint()
                    let transcript = PairingTranscript(
                        enrolling: .init(jid: mesh.pepper.jid, key: invitation.key), pairing: .init(jid: jid, key: key))
                    let offer = PairingOffer(
                        handle: invitation.token.verifier.handle, key: key, proof: PairingProof.make(invitation.token, transcript))
                    let answer = await #expect(throws: XMPPError.self) { _ = try await carol.iq(to: pepper, .set, offer.element) }
                    #expect(PairingAnswer(answer?.stanzaError) == .refused(.keyConflict))
                }
                #expect(try await mesh.pepper.status().pairing.outstanding == 1)
            }
        }

        /// Nobody answers: the pairing waits as long as it was told to.
        @Test func aDeviceThatIsNotThereIsWaitedForUntilTheDeadline() async throws {
            try await withMesh(others: ["carol"], meeting: false) { mesh in
                let invitation = PairingInvitation(
                    jid: try #require(JID("carol@\(mesh.xmpp.domain)")), token: .random(), key: key(6), resource: "qimesh", name: "")
                let text = await Self.refusal { try await mesh.desk.pair(invitation.text, seconds: 1) }
                #expect(text.hasPrefix("offline: carol@\(mesh.xmpp.domain) did not answer"), "\(text)")
                #expect(text.contains("--wait-online"))
            }
        }

        /// A token brings a revoked device back, and a name that is taken is not given twice.
        @Test func pairingAgainAfterRevokingWorksUnderANewName() async throws {
            try await withMesh(others: ["carol"]) { mesh in
                try await mesh.pepper.revoke("desk")
                let token = try await mesh.pepper.enroll(name: "newdesk").token
                let taken = await Self.refusal { try await mesh.pepper.enroll(name: "newdesk/x") }
                #expect(taken.hasPrefix("usage: "), "\(taken)")
                _ = try await mesh.desk.pair(token)
                #expect(try await mesh.pepper.row(of: mesh.desk.jid)?.name == "newdesk")
                #expect(try mesh.pepper.pin(of: mesh.desk.jid) == mesh.desk.fingerprint())
                let conflict = await Self.refusal { try await mesh.pepper.enroll(name: "newdesk") }
                #expect(conflict.hasPrefix("conflict: "), "\(conflict)")
            }
        }
    }
}
