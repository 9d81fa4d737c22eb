/// A `<content/>` of a Jingle session: what the application is and how its bytes travel (XEP-0166 §7.3).
struct JingleContent: Hashable, Sendable {
    /// How the bytes travel.
    enum Transport: Hashable, Sendable {
        /// In band (XEP-0261).
        case inBand(InBandTransport)
        /// One we do not speak, or a broken one.
        case unsupported
    }

    /// Name of the only content of our sessions.
    static let onlyName = "stream"

    /// Which side added it: `initiator` or `responder`.
    var creator: String
    /// Its name, unique for its creator; at most 256 bytes.
    var name: String
    /// The application's element; nil where only the transport is spoken of.
    var application: Element?
    var transport: Transport

    /// A content of ours.
    init(application: Element?, transport: InBandTransport) {
        creator = "initiator"
        name = JingleContent.onlyName
        self.application = application
        self.transport = .inBand(transport)
    }

    /// Reads a content; throws `bad-request` for one that breaks the schema.
    init(parsing element: Element) throws(StanzaError) {
        guard let creator = element["creator"], creator == "initiator" || creator == "responder",
            let name = element["name"], (1...StreamName.longest).contains(name.utf8.count)
        else { throw .badRequest }
        self.creator = creator
        self.name = name
        application = element.children.first { $0.name != "transport" && $0.name != "security" }
        transport =
            element["transport", Namespaces.jingleIBB].flatMap { InBandTransport(parsing: $0) }.map { .inBand($0) }
            ?? .unsupported
    }

    /// The content as it is sent.
    var element: Element {
        var element = Element(
            "content", namespace: Namespaces.jingle, attributes: ["creator": creator, "name": name])
        if let application { element.children.append(application) }
        if case .inBand(let transport) = transport { element.children.append(transport.element) }
        return element
    }
}

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
