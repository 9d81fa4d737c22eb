import Testing

@testable import XMPP

@Suite struct StreamLimitsTests {
    private func features(_ children: [Element]) -> Element {
        Element("features", namespace: "http://etherx.jabber.org/streams", children: children)
    }

    private func limits(_ bytes: String?, _ idle: String? = nil, namespace: String = Namespaces.streamLimits) -> Element {
        let children = [bytes.map { Element("max-bytes", text: $0) }, idle.map { Element("idle-seconds", text: $0) }]
        return Element("limits", namespace: namespace, children: children.compactMap { $0 })
    }

    @Test func theLastFeaturesThatNameLimitsCount() {
        var record = LoginRecord()
        record.received(features([limits("10000", "60")]))
        record.received(features([limits(" 262144\n")]))
        #expect(record.streamLimits == StreamLimits(maxBytes: 262_144, idleSeconds: nil))
        record.received(features([]))
        #expect(record.streamLimits.maxBytes == 262_144)
    }

    @Test(arguments: ["", "many", "-1", "0", "99999999999999999999999"])
    func whatIsNoNumberIsNoLimit(text: String) {
        #expect(StreamLimits(parsing: limits(text, text)) == StreamLimits())
    }

    @Test func absurdAndForeignLimitsAreNotBelieved() {
        #expect(StreamLimits(parsing: limits("1")).maxBytes == StreamLimits.leastBytes)
        var record = LoginRecord()
        record.received(features([limits("3000", namespace: "urn:example:limits")]))
        #expect(record.streamLimits == StreamLimits())
    }
}
