import Foundation
import Testing

@testable import QiMesh
@testable import XMPP

@Suite struct PairingInvitationTests {
    private func invitation(
        _ jid: String = Sample.pepper, resource: String = "qimesh", name: String = ""
    ) throws -> PairingInvitation {
        PairingInvitation(
            jid: try #require(JID(jid)), token: try Sample.token(), key: key(1), resource: resource, name: name)
    }

    @Test func isShortAndNeedsNoQuotes() throws {
        let text = try invitation().text
        #expect(text == "qimesh:pepper@mesh.test/AAECAwQFBgcICQoLDA0ODw/S_USLzRFVMU73i67jNK349FgCtYxw4Wl18ziPHeFRZo.NKDzsQ")
        let safe = CharacterSet(charactersIn: "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~@:/%")
        let strange = try invitation("caf\u{E9}+1=@mesh.test", resource: "a b/'$(x)", name: "Pepper; rm -rf \"é\" & co").text
        #expect(strange.unicodeScalars.allSatisfy(safe.contains))
    }

    @Test(arguments: [
        (Sample.pepper, "qimesh", ""), (Sample.pepper, "qimesh", "Pepper"), (Sample.pepper, "head", ""), (Sample.pepper, "head", "Rosa Pépper"),
        ("caf\u{E9}+1=@mesh.test", "a b/c?d", "name/with slash"), ("a@b", "r", String(repeating: "x", count: 64)),
    ])
    func readsWhatItWrites(_ jid: String, _ resource: String, _ name: String) throws {
        let written = try invitation(jid, resource: resource, name: name)
        let read = try PairingInvitation(parsing: "  " + written.text + "\n")
        #expect(read.jid == written.jid)
        #expect(read.token.text == Sample.tokenText)
        #expect(read.key == key(1))
        #expect(read.resource == resource)
        #expect(read.name == name)
        #expect(read.address?.description == "\(jid)/\(resource)")
        #expect(read.text == written.text)
    }

    /// The text with a right check; nil where there is no place for one.
    private static func sealed(_ text: String) -> String? {
        var parts = text.dropFirst("qimesh:".count).split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard text.hasPrefix("qimesh:"), parts.count >= 3 else { return nil }
        parts[2] = String(parts[2].prefix { $0 != "." })
        parts[2] += "." + PairingInvitation.check(parts)
        return "qimesh:" + parts.joined(separator: "/")
    }

    /// Each shorter text, and each with one character changed or missing: none is a token of another name, resource or address.
    @Test func whatWasCutOrChangedIsRefused() throws {
        let good = try invitation(resource: "head", name: "Rosa Pépper").text
        #expect(Self.sealed(good) == good)
        for length in 0..<good.count { #expect(throws: MeshError.self) { _ = try PairingInvitation(parsing: String(good.prefix(length))) } }
        for index in good.indices {
            var changed = good
            changed.replaceSubrange(index...index, with: good[index] == "n" ? "m" : "n")
            #expect(throws: MeshError.self, "\(changed)") { _ = try PairingInvitation(parsing: changed) }
            var shorter = good
            shorter.remove(at: index)
            #expect(throws: MeshError.self, "\(shorter)") { _ = try PairingInvitation(parsing: shorter) }
        }
    }

    @Test func damagedTextIsRefusedWithoutRepeatingTheSecret() throws {
        let good = try invitation().text
        let fingerprint = Base64URL.encode(key(1).digest)
        let open = "qimesh:\(Sample.pepper)/\(Sample.tokenText)/\(fingerprint)"
        let damaged = [
            "", "qimesh:", "xmpp:pepper@mesh.test?roster;preauth=AAECAwQFBgcICQoLDA0ODw", String(open.dropLast()), open + "A",
            good + "/a/b/c", "qimesh:mesh.test/\(Sample.tokenText)/\(fingerprint)", "qimesh:a@b/c/\(Sample.tokenText)/\(fingerprint)",
            "qimesh:pepper@mesh.test//\(fingerprint)", "qimesh:pepper@mesh.test/\(Sample.tokenText)x/\(fingerprint)",
            // The unused bits of the last character are not zero.
            "qimesh:pepper@mesh.test/AAECAwQFBgcICQoLDA0ODx/\(fingerprint)",
            open + "/%ZZ", open + "/%00", open + "//" + String(repeating: "n", count: 65),
            "qimesh:" + String(repeating: "a", count: 9_000) + "@b/\(Sample.tokenText)/\(fingerprint)",
        ]
        // Also where the check is that of the damaged text.
        for text in damaged + damaged.compactMap(Self.sealed) {
            let error = #expect(throws: MeshError.self, "\(text.prefix(80))") { _ = try PairingInvitation(parsing: text) }
            #expect(error?.code == .usage)
            #expect(error?.message.contains(Sample.tokenText) == false)
        }
    }

    @Test func namesAreBounded() throws {
        let long = try invitation(name: String(repeating: "é", count: 40))
        #expect(long.name.utf8.count == 64)
    }

    @Test func messagesSurviveTheWay() throws {
        let offer = try Sample.offer(Sample.token())
        #expect(PairingOffer(offer.element) == offer)
        #expect(PairingAnswer(try PairingAnswer.accepted(proof: offer.proof).result.get()) == .accepted(proof: offer.proof))
        for refusal in PairingRefusal.allCases {
            guard case .failure(let error) = PairingAnswer.refused(refusal).result else {
                Issue.record("\(refusal) is no failure")
                continue
            }
            #expect(PairingAnswer(error) == .refused(refusal))
            #expect(error.condition == "not-authorized")
        }
    }

    @Test func otherMessagesAreNotRead() throws {
        let offer = try Sample.offer(Sample.token()).element
        for change: (inout Element) -> Void in [
            { $0.name = "paired" }, { $0.namespace = "urn:qimesh:pair:2" }, { $0["token"] = nil }, { $0["key"] = "SHA256:short" },
            { $0["proof"] = "AAAA" }, { $0["token"] = "=" }, { $0.children = [Element("x")] },
        ] {
            var changed = offer
            change(&changed)
            #expect(PairingOffer(changed) == nil, "\(changed)")
        }
        #expect(PairingAnswer(nil as Element?) == nil)
        #expect(PairingAnswer(Element("paired", namespace: MeshNamespaces.pairing)) == nil)
        #expect(PairingAnswer(StanzaError.serviceUnavailable) == nil)
        #expect(PairingAnswer(StanzaError(.auth, "not-authorized", application: Element("used-token", namespace: "urn:other"))) == nil)
        #expect(PairingAnswer(StanzaError(.auth, "not-authorized", application: Element("odd", namespace: MeshNamespaces.pairing))) == nil)
    }
}
