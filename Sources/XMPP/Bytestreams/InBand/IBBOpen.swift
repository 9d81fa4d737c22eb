/// The `<open/>` and `<close/>` of an in-band bytestream (XEP-0047 §2.1, §2.3).
struct IBBOpen: Hashable, Sendable {
    /// Most bytes in a block.
    var blockSize: Int
    var sid: String

    /// Ours.
    init(blockSize: Int, sid: String) {
        self.blockSize = blockSize
        self.sid = sid
    }

    /// Reads an `<open/>`; throws `bad-request` for one that breaks the schema, `not-acceptable` for one that wants its data in
    /// messages.
    init(parsing element: Element) throws(StanzaError) {
        guard let blockSize = element["block-size"].flatMap(Int.init), 1...65535 ~= blockSize,
            let sid = element["sid"], StreamName.isValid(sid)
        else { throw .badRequest }
        guard element["stanza"] ?? "iq" == "iq" else { throw .notAcceptable }
        self.init(blockSize: blockSize, sid: sid)
    }

    /// The element as it is sent.
    var element: Element {
        Element(
            "open", namespace: Namespaces.ibb,
            attributes: ["block-size": String(blockSize), "sid": sid, "stanza": "iq"])
    }

    /// The element that ends the bytestream.
    static func close(sid: String) -> Element {
        Element("close", namespace: Namespaces.ibb, attributes: ["sid": sid])
    }
}
