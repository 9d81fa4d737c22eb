/// A `<content/>` of a Jingle session: what the application is and how its bytes travel (XEP-0166 §7.3).
struct JingleContent: Hashable, Sendable {
    /// Name of the only content of our sessions.
    static let onlyName = "stream"

    /// Which side added it: `initiator` or `responder`.
    var creator: String
    /// Its name, unique for its creator; at most 256 bytes.
    var name: String
    /// The application's element; nil where only the transport is spoken of.
    var application: Element?
    /// The `<transport/>` elements: one as a rule. What is inside is their transports' business.
    var transports: [Element]

    /// A content of ours.
    init(name: String = JingleContent.onlyName, application: Element?, transport: Element) {
        creator = "initiator"
        self.name = name
        self.application = application
        transports = [transport]
    }

    /// Reads a content; throws `bad-request` for one that breaks the schema.
    init(parsing element: Element) throws(StanzaError) {
        guard let creator = element["creator"], creator == "initiator" || creator == "responder",
            let name = element["name"], (1...StreamName.longest).contains(name.utf8.count)
        else { throw .badRequest }
        self.creator = creator
        self.name = name
        application = element.children.first { $0.name != "transport" && $0.name != "security" }
        transports = element.children("transport")
    }

    /// The content as it is sent.
    var element: Element {
        var element = Element(
            "content", namespace: Namespaces.jingle, attributes: ["creator": creator, "name": name])
        if let application { element.children.append(application) }
        element.children += transports
        return element
    }
}
