import Testing

@testable import XMPP

struct ElementTests {
    private static func text(_ element: Element, in namespace: String? = nil) -> String {
        var bytes: [UInt8] = []
        element.render(into: &bytes, parentNamespace: namespace)
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func rendersNamespacesOnlyWhereTheyChange() {
        let element = Element(
            "iq", namespace: "jabber:client", attributes: ["type": "get", "id": "1"],
            children: [
                Element("query", namespace: "urn:a", children: [Element("item"), Element("other", namespace: "urn:b")]),
                Element("same", namespace: "jabber:client"),
            ])
        #expect(
            Self.text(element, in: "jabber:client")
                == "<iq id='1' type='get'><query xmlns='urn:a'><item/><other xmlns='urn:b'/></query><same/></iq>")
        #expect(Self.text(Element("a", namespace: "urn:a")) == "<a xmlns='urn:a'/>")
    }

    @Test(arguments: [
        ("plain", "plain"), ("<&>'\"", "&lt;&amp;&gt;&apos;&quot;"), ("a\u{0}b\u{1}c\u{1f}d", "abcd"),
        ("\u{fffe}\u{ffff}x", "x"), ("tab\tline\nreturn\r", "tab\tline\nreturn&#13;"), ("größe 🤖", "größe 🤖"),
        ("]]>", "]]&gt;"),
    ])
    func escapesText(_ text: String, _ expected: String) {
        #expect(Self.text(Element("a", text: text)) == "<a>\(expected)</a>")
    }

    @Test func escapesAttributes() {
        #expect(Self.text(Element("a", attributes: ["k": "'/><b x='\n\t\u{8}"])) == "<a k='&apos;/&gt;&lt;b x=&apos;&#10;&#9;'/>")
    }

    @Test func namesThatAreNoNamesAreLeftOut() {
        let element = Element(
            "a", attributes: ["x y": "1", "": "2", "ok": "3", "xmlns": "urn:hidden", "1": "4"],
            children: [Element("b c"), Element("/d"), Element("e")])
        #expect(Self.text(element) == "<a ok='3'><e/></a>")
    }

    @Test func nestingIsBounded() {
        var element = Element("a")
        for _ in 0..<200 { element = Element("a", children: [element]) }
        #expect(Self.text(element).split(separator: "<a").count == Element.deepestLevel)
    }

    @Test func findsChildren() {
        let element = Element(
            "q", namespace: "urn:a",
            children: [Element("x", namespace: "urn:b"), Element("x", attributes: ["n": "1"]), Element("x", namespace: "urn:a")])
        #expect(element["x", "urn:a"]?["n"] == "1")
        #expect(element["x", "urn:c"] == nil)
        #expect(element.child("x")?.namespace == "urn:b")
        #expect(element.children("x").count == 3)
        #expect(element.children("x", "urn:a").count == 2)
        #expect(element.isNamed("q", "urn:a"))
    }

    @Test func stanzaErrorsKeepTheirShape() {
        let error = StanzaError(
            .wait, "unexpected-request", text: "later", application: Element("out-of-order", namespace: Namespaces.jingleErrors))
        #expect(StanzaError(parsing: error.element) == error)
        #expect(StanzaError(parsing: nil).condition == "undefined-condition")
        #expect(StanzaError(parsing: Element("error", attributes: ["type": "nonsense"])).type == .cancel)
        let long = StanzaError(.cancel, "gone", text: String(repeating: "x", count: 5000))
        #expect(StanzaError(parsing: long.element).text.count == StanzaError.longestText)
        #expect(error.description == "unexpected-request (wait) [out-of-order]: later")
    }

    @Test func passwordsAreNotPrinted() throws {
        let configuration = XMPPConfiguration(jid: try #require(JID("a@b/c")), password: "hunter2")
        var dumped = ""
        dump(configuration, to: &dumped)
        for text in ["\(configuration)", String(reflecting: configuration), dumped] {
            #expect(!text.contains("hunter2"))
            #expect(text.contains("a@b"))
        }
        #expect(configuration.jid.isBare)
    }
}
