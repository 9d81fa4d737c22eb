@testable import QiMesh
import QiMeshTesting
@testable import QiMessaging
import QiWire
import Testing
import XMPP

extension Live {
    /// What accounts that hold no token get by sending what they like (reference xmpp §6.7).
    @Suite struct PairingAbuseTests {
        private static func error(_ client: XMPPClient, _ address: JID, _ kind: IQRequest.Kind, _ payload: Element) async throws -> StanzaError? {
            do {
                _ = try await client.iq(to: address, kind, payload)
                return nil
            } catch {
                guard error.code == .stanza else { throw error }
                return error.stanzaError
            }
        }

        @Test func withoutATokenNothingIsDifferentFromNobody() async throws {
            try await withMesh(others: ["carol"], meeting: false) { mesh in
                try await withStranger("carol", in: mesh) { carol in
                    let pepper = try #require(JID(mesh.pepper.jid + "/qimesh"))
                    let nobody = try #require(JID(mesh.pepper.jid + "/nobody"))
                    let offer = Sample.offer(.random(), from: "carol@\(mesh.xmpp.domain)").element
                    let before = try await Self.error(carol, pepper, .set, offer)
                    #expect(before == .serviceUnavailable)
                    #expect(try await Self.error(carol, nobody, .set, offer) == before)
                    // After a token was made and used, the same again for who does not hold it.
                    let token = try await mesh.pepper.enroll().token
                    _ = try await mesh.desk.pair(token)
                    #expect(try await Self.error(carol, pepper, .set, offer) == .serviceUnavailable)
                }
            }
        }

        @Test func onlyTheOneRequestIsLookedAtWhileATokenIsOut() async throws {
            try await withMesh(others: ["carol"], meeting: false) { mesh in
                let invitation = try PairingInvitation(parsing: try await mesh.pepper.enroll().token)
                try await withStranger("carol", in: mesh) { carol in
                    let pepper = try #require(invitation.address)
                    let offer = Sample.offer(.random(), from: "carol@\(mesh.xmpp.domain)").element
                    var malformed = offer
                    malformed["key"] = "SHA256:none"
                    var renamed = offer
                    renamed.name = "paired"
                    let others = [
                        malformed, renamed, Element("pair", namespace: "urn:qimesh:pair:2"), Element("ping", namespace: Namespaces.ping),
                        Element("query", namespace: Namespaces.discoInfo),
                        Element("jingle", namespace: Namespaces.jingle, attributes: ["action": "session-initiate", "sid": "a"]),
                    ]
                    for payload in others {
                        #expect(try await Self.error(carol, pepper, .set, payload) == .serviceUnavailable, "\(payload)")
                        #expect(try await Self.error(carol, pepper, .get, payload) == .serviceUnavailable, "\(payload)")
                    }
                    #expect(try await Self.error(carol, pepper, .get, offer) == .serviceUnavailable)
                    #expect(PairingAnswer(try await Self.error(carol, pepper, .set, offer)) == .refused(.unknown))
                }
            }
        }

        /// What the servers have seen of a pairing is worth nothing to them.
        @Test func aReplayedOfferIsRefused() async throws {
            try await withMesh(others: ["carol", "mallory"], meeting: false) { mesh in
                let invitation = try PairingInvitation(parsing: try await mesh.pepper.enroll().token)
                let desks = try mesh.desk.fingerprint()
                let seen = PairingAttempt(invitation, name: "", own: try #require(JID(mesh.desk.jid)), key: desks)
                try await withStranger("carol", in: mesh) { carol in
                    let pepper = try #require(invitation.address)
                    // Word for word, and with a key of one's own.
                    #expect(PairingAnswer(try await Self.error(carol, pepper, .set, seen.offer.element)) == .refused(.wrongProof))
                    var changed = seen.offer
                    changed.key = key(9)
                    #expect(PairingAnswer(try await Self.error(carol, pepper, .set, changed.element)) == .refused(.wrongProof))
                    // The name of the token in a subscription request makes nobody a contact.
                    try await carol.subscribe(to: try #require(JID(mesh.pepper.jid)), token: seen.handle)
                    _ = try await eventually("pepper hears the request") {
                        try await mesh.pepper.row(of: "carol@\(mesh.xmpp.domain)")?.state == "asks" ? true : nil
                    }
                    #expect(!carol.isMutual(try #require(JID(mesh.pepper.jid))))
                }
                let refused = try await mesh.pepper.status().pairing.refused
                #expect(refused.map(\.reason) == ["wrong-proof", "wrong-proof"])
                #expect(refused.allSatisfy { !$0.knewToken })
                // The token is still good for whom it was made.
                _ = try await mesh.desk.pair(invitation.text)
                #expect(try mesh.pepper.pin(of: mesh.desk.jid) == desks)
            }
        }

        /// Guessing has a limit, which does not stand in the way of the right device.
        @Test func guessingIsLimitedAndHoldsNobodyUp() async throws {
            try await withMesh(others: ["carol"], meeting: false) { mesh in
                let invitation = try PairingInvitation(parsing: try await mesh.pepper.enroll().token)
                try await withStranger("carol", in: mesh) { carol in
                    let pepper = try #require(invitation.address)
                    var answers: [PairingAnswer?] = []
                    for _ in 0..<12 {
                        let guess = Sample.offer(.random(), from: "carol@\(mesh.xmpp.domain)").element
                        answers.append(PairingAnswer(try await Self.error(carol, pepper, .set, guess)))
                    }
                    #expect(answers.filter { $0 == .refused(.unknown) }.count == EnrollmentTable.wrongTriesPerMinute)
                    #expect(answers.suffix(7).allSatisfy { $0 == nil })
                    _ = try await mesh.desk.pair(invitation.text)
                }
                #expect(try mesh.pepper.pin(of: mesh.desk.jid) == mesh.desk.fingerprint())
            }
        }
    }
}
