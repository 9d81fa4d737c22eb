import Testing

@testable import XMPP

struct DiscoveryTests {
    // MARK: Entity capabilities (XEP-0115 §5.2 and §5.3)

    private static let simple = DiscoInfo(
        identities: [.init(category: "client", type: "pc", name: "Exodus 0.9.1")],
        features: [
            "http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items",
            "http://jabber.org/protocol/muc", "http://jabber.org/protocol/caps",
        ])

    private static let complex = DiscoInfo(
        identities: [
            .init(category: "client", type: "pc", language: "en", name: "Psi 0.11"),
            .init(category: "client", type: "pc", language: "el", name: "Ψ 0.11"),
        ],
        features: simple.features,
        forms: [
            .init(
                type: "urn:xmpp:dataforms:softwareinfo",
                fields: [
                    "ip_version": ["ipv6", "ipv4"], "os": ["Mac"], "os_version": ["10.5.1"], "software": ["Psi"],
                    "software_version": ["0.11"],
                ])
        ])

    @Test func hashesAsTheStandardDoes() {
        #expect(
            EntityCapabilities.verificationString(Self.simple)
                == "client/pc//Exodus 0.9.1<http://jabber.org/protocol/caps<http://jabber.org/protocol/disco#info<"
                + "http://jabber.org/protocol/disco#items<http://jabber.org/protocol/muc<")
        #expect(EntityCapabilities.version(Self.simple) == "QgayPKawpkPSDYmwT/WM94uAlu0=")
        #expect(EntityCapabilities.version(Self.complex) == "q07IKJEyjvHSyhy//CH0CxmKi8w=")
    }

    @Test func survivesBecomingXML() throws {
        for info in [Self.simple, Self.complex] {
            let element = EntityCapabilities.element(info, node: "n#v")
            #expect(element["node"] == "n#v")
            #expect(try EntityCapabilities.parse(element, strictly: true) == info)
        }
    }

    @Test func ambiguousAnswersDoNotVerify() {
        var feature = EntityCapabilities.element(Self.simple, node: nil)
        feature.children.append(Element("feature", attributes: ["var": "http://jabber.org/protocol/muc"]))
        var identity = EntityCapabilities.element(Self.simple, node: nil)
        identity.children.append(identity.children[0])
        var form = EntityCapabilities.element(Self.complex, node: nil)
        form.children.append(form.children[form.children.count - 1])
        var large = EntityCapabilities.element(Self.simple, node: nil)
        large.children += (0..<600).map { Element("feature", attributes: ["var": "urn:\($0)"]) }
        let table: [(Element, EntityCapabilities.Fault)] = [
            (feature, .duplicateFeature), (identity, .duplicateIdentity), (form, .duplicateForm), (large, .tooLarge),
        ]
        for (element, fault) in table {
            #expect(throws: fault) { try EntityCapabilities.parse(element, strictly: true) }
        }
    }

    @Test func formsWithoutHiddenTypeDoNotCount() throws {
        var query = EntityCapabilities.element(Self.simple, node: nil)
        query.children.append(
            Element(
                "x", namespace: Namespaces.dataForms,
                children: [
                    Element("field", attributes: ["var": "FORM_TYPE"], children: [Element("value", text: "urn:forged")])
                ]))
        #expect(try EntityCapabilities.parse(query, strictly: true) == Self.simple)
    }

    @Test func cacheKeepsOnlyWhatVerifies() throws {
        var cache = CapabilityCache(limit: 2)
        let good = PresenceResource.Capabilities(node: "n", version: "QgayPKawpkPSDYmwT/WM94uAlu0=", hash: "sha-1")
        let poisoned = PresenceResource.Capabilities(node: "n", version: "q07IKJEyjvHSyhy//CH0CxmKi8w=", hash: "sha-1")
        let odd = PresenceResource.Capabilities(node: "n", version: good.version, hash: "md5")
        let answer = EntityCapabilities.element(Self.simple, node: nil)
        #expect(cache.learned(answer, as: poisoned) == false)
        #expect(cache[poisoned] == nil)
        #expect(cache.learned(answer, as: odd) == false)
        #expect(cache.learned(answer, as: good) == true)
        #expect(cache[good] == Self.simple)
        #expect(cache[odd] == nil)
        for number in 0..<2 {
            let info = DiscoInfo(identities: [], features: ["urn:\(number)"])
            let capabilities = PresenceResource.Capabilities(
                node: "n", version: EntityCapabilities.version(info), hash: "sha-1")
            #expect(cache.learned(EntityCapabilities.element(info, node: nil), as: capabilities) == true)
        }
        #expect(cache[good] == nil)
    }

    // MARK: Contacts

    private static func query(_ items: [[String: String]]) -> Element {
        Element("query", namespace: Namespaces.roster, children: items.map { Element("item", attributes: $0) })
    }

    @Test func rosterIsLoadedPushedAndCompared() throws {
        let desk = try #require(JID("desk@b"))
        var roster = Roster(limit: 2)
        let loaded = roster.loaded(
            Self.query([
                ["jid": "desk@b", "name": "Desk", "subscription": "to", "ask": "subscribe"],
                ["jid": "no good@b", "subscription": "both"], ["subscription": "both"], ["jid": "e@b", "approved": "true"],
                ["jid": "third@b"],
            ]))
        #expect(loaded.map(\.jid.description) == ["desk@b", "e@b"])
        #expect(roster[desk] == RosterItem(jid: desk, name: "Desk", subscription: .to, isAsking: true))
        #expect(loaded[1].isPreapproved)
        // Full, broken and unchanged pushes change nothing.
        #expect(roster.pushed(Self.query([["jid": "third@b"]])) == nil)
        #expect(roster.pushed(Self.query([["jid": "desk@b"], ["jid": "e@b"]])) == nil)
        #expect(roster.pushed(Self.query([["jid": ""]])) == nil)
        #expect(roster.pushed(Self.query([["jid": "e@b", "approved": "1"]])) == nil)
        #expect(roster.pushed(Self.query([["jid": "desk@b", "subscription": "both"]]))?.isMutual == true)
        #expect(roster.pushed(Self.query([["jid": "e@b", "subscription": "remove"]]))?.subscription == .remove)
        #expect(roster.pushed(Self.query([["jid": "e@b", "subscription": "remove"]])) == nil)
        #expect(roster.loaded(Self.query([])).map(\.subscription) == [.remove])
        #expect(roster.items.isEmpty)
    }

    private static func presence(_ type: String? = nil, _ children: [Element] = []) -> Element {
        var presence = Element("presence", namespace: Namespaces.client, children: children)
        presence["type"] = type
        return presence
    }

    @Test func presenceComesChangesAndGoes() throws {
        let full = try #require(JID("desk@b/x"))
        let second = try #require(JID("desk@b/y"))
        let third = try #require(JID("desk@b/z"))
        var tracker = PresenceTracker(resourceLimit: 2)
        let now = ContinuousClock.now
        let caps = Element(
            "c", namespace: Namespaces.caps, attributes: ["node": "n", "ver": "v", "hash": "sha-1"])
        let first = tracker.received(
            Self.presence(nil, [Element("show", text: "dnd"), Element("priority", text: "999"), caps]), from: full, now: now)
        #expect(first.map(\.show) == [.dnd])
        #expect(first[0].priority == 127)
        #expect(first[0].capabilities?.discoNode == "n#v")
        // The same again is no news; a change keeps the time it came.
        let later = now + .seconds(1)
        let again = tracker.received(
            Self.presence(nil, [Element("show", text: "dnd"), Element("priority", text: "999"), caps]), from: full, now: later)
        #expect(again.isEmpty)
        let changed = tracker.received(Self.presence(nil, [caps]), from: full, now: later)
        #expect(changed.map(\.since) == [now])
        let info = DiscoInfo(identities: [], features: ["urn:a"])
        #expect(tracker.learned(info, of: full, capabilities: nil) == nil)
        #expect(tracker.learned(info, of: full, capabilities: first[0].capabilities)?.disco == info)
        // Bounded, and a bare address is no connection.
        #expect(tracker.received(Self.presence(), from: second, now: later).count == 1)
        #expect(tracker.received(Self.presence(), from: third, now: later).isEmpty)
        #expect(tracker.received(Self.presence(), from: full.bare, now: later).isEmpty)
        #expect(tracker.resources(of: full.bare).map(\.jid) == [second, full])
        #expect(tracker.received(Self.presence("unavailable"), from: second, now: later).map(\.isAvailable) == [false])
        #expect(tracker.received(Self.presence("unavailable"), from: second, now: later).isEmpty)
        #expect(tracker.received(Self.presence("unavailable"), from: full.bare, now: later).map(\.jid) == [full])
        #expect(tracker.removeAll().isEmpty)
    }

    @Test func requestsAreKeptUntilDecided() throws {
        let desk = try #require(JID("desk@b"))
        let book = ContactBook(limits: XMPPLimits())
        let request = SubscriptionRequest(from: desk)
        #expect(book.requested(request) == .ask)
        #expect(book.requested(request) == .ignore)
        #expect(book.pendingRequests() == [request])
        book.decided(desk, approved: true)
        #expect(book.pendingRequests().isEmpty)
        // That approval was for the request that was there, not for the next.
        #expect(book.requested(request) == .ask)
        book.withdrawn(desk)
        #expect(book.pendingRequests().isEmpty)
        // Approved in advance: once.
        book.decided(desk, approved: true)
        #expect(book.requested(request) == .approve)
        #expect(book.requested(request) == .ask)
        book.decided(desk, approved: false)
        // Approved and taken back.
        book.decided(desk, approved: true)
        book.decided(desk, approved: false)
        #expect(book.requested(request) == .ask)
        // Who sees us already is told so again.
        _ = book.pushed(Self.query([["jid": "desk@b", "subscription": "from"]]))
        #expect(book.requested(request) == .approve)
    }

    /// The server's list says both; the owner says no.
    @Test func whatOnlyTheServerListsIsAStranger() throws {
        let (desk, mallory) = (try #require(JID("desk@b")), try #require(JID("mallory@b")))
        let book = ContactBook(limits: XMPPLimits(), admission: { $0 == desk })
        for account in [desk, mallory] { _ = book.pushed(Self.query([["jid": "\(account)", "subscription": "both"]])) }
        #expect(book.isMutual(desk) && !book.isMutual(mallory))
        let own = try #require(JID("own@b/x"))
        #expect(StanzaRouter.sender(JID("mallory@b/r"), own: own, isMutual: book.isMutual) == .stranger)
        #expect(StanzaRouter.sender(JID("desk@b/r"), own: own, isMutual: book.isMutual) == .contact)
        // A request is answered without a question for the contact alone.
        #expect(book.requested(SubscriptionRequest(from: desk)) == .approve)
        #expect(book.requested(SubscriptionRequest(from: mallory)) == .ask)
    }

    @Test func requestsAreBounded() throws {
        var limits = XMPPLimits()
        limits.subscriptionRequests = 3
        let book = ContactBook(limits: limits)
        let answers = try (0..<5).map { book.requested(SubscriptionRequest(from: try #require(JID("u\($0)@b")))) }
        // The newest are kept: strangers must not be able to end the asking for everybody.
        #expect(answers == [.ask, .ask, .ask, .ask, .ask])
        #expect(book.pendingRequests().map(\.from.description) == ["u2@b", "u3@b", "u4@b"])
    }

    /// A request that needs no person needs no room, and is told each time.
    @Test func expectedRequestsAreNotKept() throws {
        let (nao, listed) = (try #require(JID("nao@lab")), try #require(JID("listed@lab")))
        let book = ContactBook(limits: XMPPLimits(), admission: { _ in false }, expectation: { $0.domain == "lab" && $1 == nil })
        #expect(book.requested(SubscriptionRequest(from: nao)) == .ask && book.requested(SubscriptionRequest(from: nao)) == .ask)
        #expect(book.pendingRequests().isEmpty)
        _ = book.pushed(Self.query([["jid": "listed@lab", "subscription": "from"]]))
        #expect(book.requested(SubscriptionRequest(from: listed)) == .ask)
        #expect(book.pendingRequests().map(\.from) == [listed])
        // What could not be answered as it was expected to be waits for a person, unless it was settled meanwhile.
        book.keep(SubscriptionRequest(from: nao))
        #expect(book.pendingRequests().map(\.from) == [listed, nao])
        _ = book.pushed(Self.query([["jid": "nao@lab", "subscription": "both"]]))
        book.settled(nao)
        book.keep(SubscriptionRequest(from: nao))
        #expect(book.pendingRequests().map(\.from) == [listed])
    }

    /// Approved in advance, and revoked before the request came.
    @Test func anApprovalInAdvanceIsWorthNothingWithoutTheOwnersWord() throws {
        let desk = try #require(JID("desk@b"))
        let admitted = Locked(true)
        let book = ContactBook(limits: XMPPLimits(), admission: { _ in admitted.withLock { $0 } })
        #expect(book.expects(desk))
        admitted.withLock { $0 = false }
        #expect(book.requested(SubscriptionRequest(from: desk)) == .ask)
        admitted.withLock { $0 = true }
        // It was used up.
        #expect(book.requested(SubscriptionRequest(from: desk, text: "again")) == .ask)
    }

    /// The server lists as many as its operator invents.
    @Test func littleIsKeptOfThoseWhoAreNotAdmitted() throws {
        var limits = XMPPLimits()
        limits.unconfirmedContacts = 3
        let admitted = Locked<Set<JID>>([])
        let book = ContactBook(limits: limits, admission: { jid in admitted.withLock { $0.contains(jid) } })
        let presence = Self.presence(nil, [Element("status", text: String(repeating: "x", count: 1000))])
        var jids: [JID] = []
        for number in 0..<10 {
            let jid = try #require(JID("u\(number)@b"))
            jids.append(jid)
            for resource in 0..<5 {
                let full = try #require(JID("\(jid)/r\(resource)"))
                for notice in book.received(presence, from: full) { #expect(notice.status.isEmpty) }
            }
        }
        let kept = jids.flatMap { book.resources(of: $0) }
        #expect(kept.count == 6 && Set(kept.map(\.jid.bare)).count == 3 && kept.allSatisfy { $0.status.isEmpty })
        // One that the owner admits has its room whatever there is, and gives its place back.
        let full = try #require(JID("u0@b/r0"))
        admitted.withLock { $0 = [jids[0], jids[9]] }
        #expect(book.received(presence, from: full).map(\.status.count) == [1000])
        #expect(book.received(presence, from: try #require(JID("u9@b/r0"))).count == 1)
        #expect(book.received(presence, from: try #require(JID("u8@b/r0"))).count == 1)
        // And loses it with the owner's word.
        admitted.withLock { $0 = [] }
        #expect(book.dismissed(jids[9]).map(\.isAvailable) == [false])
        #expect(book.resources(of: jids[9]).isEmpty)
    }

    /// One character of 200 000 bytes is one character.
    @Test func textsOfOthersAreCutByBytes() throws {
        let tower = "e" + String(repeating: "\u{301}", count: 100_000)
        let full = try #require(JID("desk@b/x"))
        var tracker = PresenceTracker(resourceLimit: 2)
        let heard = tracker.received(Self.presence(nil, [Element("status", text: tower)]), from: full, now: .now)
        let item = RosterItem(
            parsing: Element("item", attributes: ["jid": "desk@b", "name": tower], children: [Element("group", text: tower)]))
        let error = StanzaError(
            parsing: Element("error", children: [Element("text", namespace: Namespaces.stanzas, text: tower)]))
        let reason = JingleReason(
            parsing: Element("reason", children: [Element("text", namespace: Namespaces.jingle, text: tower)]))
        var end = StreamEnd()
        end.setStreamError(Element("error", children: [Element("text", namespace: Namespaces.streamErrors, text: tower)]))
        var login = LoginRecord()
        login.logged(tower, isError: true, systemError: 0)
        let texts = [
            heard.first?.status, item?.name, item?.groups.first, error.text, reason.text, end.streamErrorText, login.libraryError,
        ]
        for text in texts { #expect(try #require(text).utf8.count <= 1024 && text?.hasPrefix("e") == false) }
    }
}
