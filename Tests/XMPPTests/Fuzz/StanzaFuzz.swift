import CStrophe
import Logging
import NIOCore

@testable import XMPP

/// Stanzas as text, through libstrophe's parser and ours, to everything that reads them: nobody but the server changes the contact list,
/// a stranger learns nothing, and what was read is written as the same.
///
/// Input: stanzas, each ended by a byte of zero.
enum StanzaFuzz {
    private static let own = JID(node: "pepper", domain: "mesh.test", resource: "qimesh")
    private static let bytes = 8192
    private static let depth = 16

    static func run(_ bytes: [UInt8]) throws {
        guard let own else { throw FuzzFinding("our own address cannot be read") }
        StropheLibrary.prepare()
        let context = StropheContext()
        defer { context.free() }
        let book = ContactBook(limits: XMPPLimits())
        var roster = Element("query", namespace: Namespaces.roster)
        roster.children = [Element("item", namespace: nil, attributes: ["jid": "desk@mesh.test", "subscription": "both"])]
        _ = book.loaded(roster)
        for text in bytes.split(separator: 0, omittingEmptySubsequences: true) {
            guard let stanza = try parse(Array(text), context) else { continue }
            try isStable(stanza, context)
            try take(stanza, own, book)
        }
        try FuzzFinding.expect(book.items().count <= XMPPLimits().contacts, "more contacts than there is room for")
    }

    /// Nil for what is no XML, or too large.
    private static func parse(_ text: [UInt8], _ context: StropheContext) throws -> Element? {
        let characters = text.map { CChar(bitPattern: $0) } + [0]
        guard let pointer = xmpp_stanza_new_from_string(context.pointer, characters) else { return nil }
        defer { xmpp_stanza_release(pointer) }
        let stanza = StropheStanza(pointer)
        _ = stanza.tag
        if let block = stanza.dataBlock { try FuzzFinding.expect(block.base64.count <= text.count, "a block longer than its stanza") }
        guard let element = stanza.element(bytes: bytes, depth: depth) else { return nil }
        try FuzzFinding.expect(size(element) <= bytes && levels(element) <= depth, "larger than was allowed")
        return element
    }

    private static func size(_ element: Element) -> Int {
        element.children.reduce(element.name.utf8.count + 16 + element.text.utf8.count) { $0 + size($1) }
    }

    private static func levels(_ element: Element) -> Int { 1 + (element.children.map(levels).max() ?? 0) }

    /// Written and read again it is the same.
    private static func isStable(_ element: Element, _ context: StropheContext) throws {
        let text = element.description
        guard let again = try parse(Array(text.utf8), context) else { return }
        try FuzzFinding.expect(again.description == text, "\(text) became \(again)")
    }

    private static func take(_ stanza: Element, _ own: JID, _ book: ContactBook) throws {
        let address = stanza["from"].flatMap { JID($0) }
        // A broken address; none is the server's.
        if address == nil, stanza["from"] != nil { return }
        let sender = StanzaRouter.sender(address, own: own, isMutual: book.isMutual)
        _ = StanzaError(parsing: stanza.child("error"))
        switch stanza.name {
        case "iq":
            guard let kind = stanza["type"].flatMap(IQRequest.Kind.init(rawValue:)), let payload = stanza.children.first else { return }
            try route(kind, payload, sender, own, book)
        case "presence":
            guard let address else { return }
            for resource in book.received(stanza, from: address) {
                try FuzzFinding.expect(resource.jid.bare == address.bare, "\(address) speaks for \(resource.jid)")
            }
        default: break
        }
    }

    private static func route(_ kind: IQRequest.Kind, _ payload: Element, _ sender: StanzaSender, _ own: JID, _ book: ContactBook) throws {
        let before = book.items()
        let configuration = XMPPConfiguration(jid: own, password: "")
        let handlers = ClientHandlers()
        let router = StanzaRouter([
            PingExtension(), VersionExtension(configuration.software), RosterExtension(book) { _ in },
            DiscoveryExtension(
                configuration, others: [], handlers: handlers, logger: Logger(label: "fuzz", factory: { _ in SwiftLogNoOpLogHandler() })),
        ], handlers: handlers)
        let answer = router.route(payload, from: sender)(IQRequest(id: "1", from: own, kind: kind, payload: payload))
        if sender == .stranger {
            guard case .now(.failure(.serviceUnavailable)) = answer else { throw FuzzFinding("a stranger is answered \(answer)") }
        }
        let isPush = sender == .server && kind == .set && payload.namespace == Namespaces.roster && payload.name == "query"
        try FuzzFinding.expect(isPush || book.items() == before, "\(sender) changes the contact list with \(payload)")
        if payload.namespace == Namespaces.jingle { _ = try? JingleMessage(parsing: payload) }
        if let info = try? EntityCapabilities.parse(payload, strictly: true) {
            let again = try? EntityCapabilities.parse(EntityCapabilities.element(info, node: nil), strictly: true)
            let version = EntityCapabilities.version(info)
            try FuzzFinding.expect(again.map(EntityCapabilities.version) == version, "capabilities change on the way")
        }
    }
}
