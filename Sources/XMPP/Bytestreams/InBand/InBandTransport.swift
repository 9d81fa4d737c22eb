/// The `<transport xmlns='urn:xmpp:jingle:transports:ibb:1'/>` of a content (XEP-0261 §2).
struct InBandTransport: Hashable, Sendable {
    /// Most bytes in a block, 1 to 65535.
    var blockSize: Int
    /// Id of the bytestream (XEP-0047 §2.1).
    var sid: String

    /// A transport of ours.
    init(blockSize: Int, sid: String) {
        self.blockSize = blockSize
        self.sid = sid
    }

    /// Reads a transport; nil when something is missing or out of range, or when data would come in messages, which nobody
    /// acknowledges and servers store.
    init?(parsing element: Element) {
        guard let blockSize = element["block-size"].flatMap(Int.init), 1...65535 ~= blockSize,
            let sid = element["sid"], StreamName.isValid(sid), element["stanza"] ?? "iq" == "iq"
        else { return nil }
        self.init(blockSize: blockSize, sid: sid)
    }

    /// The transport as it is sent.
    var element: Element {
        Element(
            "transport", namespace: Namespaces.jingleIBB, attributes: ["block-size": String(blockSize), "sid": sid])
    }
}
