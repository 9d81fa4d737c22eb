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
    private static var quiet: Logger { Logger(label: "fuzz", factory: { _ in SwiftLogNoOpLogHandler() }) }

    /// What we have asked: each result that comes is the answer to the oldest question.
    private final class Questions: StanzaSink {
        let ownJID: JID?
        private(set) var count = 0
        private var open: [(Result<Element?, XMPPError>) -> Void] = []

        init(_ own: JID) { ownJID = own }

        func sendIQ(
            _ kind: IQRequest.Kind, to peer: JID, payload: Element, timeout: Duration,
            completion: @escaping (Result<Element?, XMPPError>) -> Void
        ) {
            count += 1
            open.append(completion)
        }

        func answer(to requester: JID, id: String, with answer: Result<Element?, StanzaError>) {}

        func sendData(
            to peer: JID, sid: String, sequence: UInt16, base64: UnsafeRawBufferPointer, timeout: Duration,
            completion: @escaping (Result<Void, XMPPError>) -> Void
        ) {}

        func answered(_ payload: Element?) {
            if !open.isEmpty { open.removeFirst()(.success(payload)) }
        }
    }

    static func run(_ bytes: [UInt8]) throws {
        guard let own else { throw FuzzFinding("our own address cannot be read") }
        StropheLibrary.prepare()
        let context = StropheContext()
        defer { context.free() }
        let book = ContactBook(limits: XMPPLimits())
        var roster = Element("query", namespace: Namespaces.roster)
        roster.children = [Element("item", namespace: nil, attributes: ["jid": "desk@mesh.test", "subscription": "both"])]
        _ = book.loaded(roster)
        let questions = Questions(own)
        let discovery = ProxyDiscovery(sink: questions, logger: quiet, clock: { .uptimeNanoseconds(1) })
        discovery.begin()
        for text in bytes.split(separator: 0, omittingEmptySubsequences: true) {
            guard let stanza = try parse(Array(text), context) else { continue }
            try isStable(stanza, context)
            try take(stanza, own, book)
            if stanza.name == "iq", stanza["type"] == "result" { try answered(stanza.children.first, own, questions) }
        }
        try proxies(discovery, questions)
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

    /// An answer to something of ours: of the contact list, of what a device or an item of the server is, of where a proxy is reached.
    private static func answered(_ payload: Element?, _ own: JID, _ questions: Questions) throws {
        questions.answered(payload)
        var limits = XMPPLimits()
        limits.contacts = 4
        let book = ContactBook(limits: limits)
        _ = book.loaded(payload)
        try FuzzFinding.expect(book.items().count <= limits.contacts, "more contacts are loaded than there is room for")
        if let info = try? EntityCapabilities.parse(payload, strictly: false) { _ = EntityCapabilities.version(info) }
    }

    private static func proxies(_ discovery: ProxyDiscovery, _ questions: Questions) throws {
        var found: [ProxyHost] = []
        // At the end of its time it tells what it knows.
        discovery.whenKnown(by: .uptimeNanoseconds(0)) { found = $0 }
        discovery.tick()
        try FuzzFinding.expect(found.count <= ProxyDiscoveryStateMachine.mostProxies, "\(found.count) proxies are kept")
        try FuzzFinding.expect(found.allSatisfy { $0.host.utf8.count <= SOCKS5Candidate.longestHost }, "a proxy's host is too long")
        let most = 1 + ProxyDiscoveryStateMachine.mostItems + ProxyDiscoveryStateMachine.mostProxies
        try FuzzFinding.expect(questions.count <= most, "\(questions.count) questions are asked")
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
                configuration, others: [], handlers: handlers, logger: quiet),
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
