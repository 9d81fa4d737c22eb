import Testing

@testable import XMPP

struct JIDTests {
    @Test(arguments: [
        ("pepper@mesh.test", "pepper", "mesh.test", nil),
        ("Pepper@Mesh.Test/Desk", "pepper", "mesh.test", "Desk"),
        ("mesh.test", nil, "mesh.test", nil),
        ("mesh.test/a/b@c", nil, "mesh.test", "a/b@c"),
        ("a@b/c d", "a", "b", "c d"),
        ("a@mesh.test.", "a", "mesh.test", nil),
        ("a@[2001:db8::1]", "a", "[2001:db8::1]", nil),
        ("ÄRGER@bücher.example", "ärger", "bücher.example", nil),
    ] as [(String, String?, String, String?)])
    func parses(_ text: String, node: String?, domain: String, resource: String?) throws {
        let jid = try #require(JID(text))
        #expect(jid.node == node)
        #expect(jid.domain == domain)
        #expect(jid.resource == resource)
        #expect(JID(jid.description) == jid)
        #expect(jid.isBare == (resource == nil))
        #expect(jid.bare == JID(node: node, domain: domain))
        #expect(jid.server.description == domain)
    }

    @Test(arguments: [
        "", "@", "/", "@mesh.test", "a@", "a@/r", "a@b/", "/r", "a b@c", "a@b c", "a<b@c", "a&b@c", "a'b@c", "a\"b@c",
        "a:b@c", "a@b@c", "a\u{0}@b", "a@b/\u{7}", "a@b/\u{e000}", ".", "a@.",
    ])
    func refuses(_ text: String) {
        #expect(JID(text) == nil)
    }

    @Test func boundsEveryPart() {
        let longest = String(repeating: "a", count: 1023)
        #expect(JID("\(longest)@\(longest)/\(longest)") != nil)
        #expect(JID("\(longest)a@b") == nil)
        #expect(JID("a@\(longest)b") == nil)
        #expect(JID("a@b/\(longest)c") == nil)
        // The bound counts bytes, not characters.
        #expect(JID("\(String(repeating: "ä", count: 512))@b") == nil)
    }

    @Test func normalisationDoesNotMakeTwoAddresses() {
        #expect(JID("caf\u{e9}@b") == JID("cafe\u{301}@b"))
        #expect(Set([JID("caf\u{e9}@b"), JID("cafe\u{301}@b")]).count == 1)
    }

    @Test func resourceIsExchanged() throws {
        let jid = try #require(JID("a@b/c"))
        #expect(jid.with(resource: "d")?.description == "a@b/d")
        #expect(jid.with(resource: "") == nil)
        #expect(jid.with(resource: "\n") == nil)
        #expect(JID(node: "", domain: "b") == nil)
        #expect(JID(node: nil, domain: "b", resource: "") == nil)
    }
}
