import NIOCore
import Testing

@testable import XMPP

/// What a peer gets that does not follow the rules, and what our side makes of refusals.
@Suite struct BytestreamRefusalTests {
    static let transport = Element(
        "transport", namespace: Namespaces.jingleIBB, attributes: ["block-size": "4096", "sid": "s1"])

    static func content(
        _ children: [Element] = [JoinedPair.application, transport], creator: String? = "initiator", name: String? = "c"
    ) -> Element {
        var content = Element("content", namespace: Namespaces.jingle, children: children)
        content["creator"] = creator
        content["name"] = name
        return content
    }

    static func jingle(_ action: String?, sid: String? = "j1", _ children: [Element] = []) -> Element {
        var jingle = Element("jingle", namespace: Namespaces.jingle, children: children)
        jingle["action"] = action
        jingle["sid"] = sid
        return jingle
    }

    static func data(sid: String? = "s1", sequence: String? = "0", _ text: String = "aGVsbG8=") -> Element {
        var data = Element("data", namespace: Namespaces.ibb, text: text)
        data["sid"] = sid
        data["seq"] = sequence
        return data
    }

    static func open(sid: String? = "s1", blockSize: String? = "4096", stanza: String? = nil) -> Element {
        var open = Element("open", namespace: Namespaces.ibb)
        open["sid"] = sid
        open["block-size"] = blockSize
        open["stanza"] = stanza
        return open
    }

    /// A request to a side with no session, and its answer.
    @Test(arguments: [
        (jingle("session-accept", [content()]), "item-not-found unknown-session"),
        (jingle("session-terminate"), "item-not-found unknown-session"),
        (jingle("session-info"), "item-not-found unknown-session"),
        (jingle("fly-away"), "bad-request"),
        (jingle(nil), "bad-request"),
        (jingle("session-initiate", sid: nil, [content()]), "bad-request"),
        (jingle("session-initiate", sid: "", [content()]), "bad-request"),
        (jingle("session-initiate", sid: "a b", [content()]), "bad-request"),
        (jingle("session-initiate", sid: String(repeating: "x", count: 257), [content()]), "bad-request"),
        (jingle("session-initiate"), "bad-request"),
        (jingle("session-initiate", [content([transport])]), "bad-request"),
        (jingle("session-initiate", [content(creator: "responder")]), "bad-request"),
        (jingle("session-initiate", [content(creator: nil)]), "bad-request"),
        (jingle("session-initiate", [content(name: nil)]), "bad-request"),
        (jingle("session-initiate", [content(name: "")]), "bad-request"),
        (jingle("session-initiate", Array(repeating: content(), count: 5)), "bad-request"),
        (open(), "not-acceptable"),
        (open(sid: nil), "bad-request"),
        (open(blockSize: nil), "bad-request"),
        (open(blockSize: "0"), "bad-request"),
        (open(blockSize: "65536"), "bad-request"),
        (open(blockSize: "-1"), "bad-request"),
        (open(stanza: "message"), "not-acceptable"),
        (Element("close", namespace: Namespaces.ibb), "bad-request"),
        (IBBOpen.close(sid: "s1"), "item-not-found"),
        (data(), "item-not-found"),
        (data(sid: nil), "bad-request"),
        (Element("fly", namespace: Namespaces.ibb), "service-unavailable"),
    ])
    func requestWithoutASession(_ request: Element, _ answer: String) throws {
        let pair = try JoinedPair.scripted()
        pair.acceptAtDesk(Recorder())
        #expect(pair.ask(request) == answer)
        #expect(pair.desk.bytestreams.jingle.sessions.isEmpty)
    }

    @Test(arguments: [jingle("session-initiate", [content()]), open(), IBBOpen.close(sid: "s1"), data()])
    func nothingIsAskedWithGet(_ request: Element) throws {
        let pair = try JoinedPair.scripted()
        #expect(pair.ask(request, kind: .get) == "bad-request")
    }

    /// Offers that are acknowledged and then ended, and the reason (XEP-0166 §6.3).
    @Test(arguments: [
        ([content([Element("description", namespace: "urn:unknown"), transport])], "unsupported-applications"),
        ([content(), content()], "unsupported-applications"),
        ([content([JoinedPair.application])], "unsupported-transports"),
        ([content([JoinedPair.application, Element("transport", namespace: "urn:ice")])], "unsupported-transports"),
        (
            [
                content([
                    JoinedPair.application,
                    Element("transport", namespace: Namespaces.jingleIBB, attributes: ["block-size": "0", "sid": "s1"]),
                ])
            ], "unsupported-transports"
        ),
    ])
    func offersThatAreTurnedDown(_ contents: [Element], _ reason: String) throws {
        let pair = try JoinedPair.scripted()
        pair.acceptAtDesk(Recorder())
        var seen: [String] = []
        pair.tamper = { stanza in
            if case .request(let iq) = stanza, iq.payload["action"] == "session-terminate" {
                seen.append(iq.payload.child("reason")?.children.first?.name ?? "none")
            }
            return stanza
        }
        #expect(pair.ask(Self.jingle("session-initiate", contents)) == "result")
        #expect(seen == [reason])
        #expect(pair.desk.bytestreams.jingle.sessions.isEmpty)
    }

    /// Steps that come while desk waits for `<open/>`.
    @Test(arguments: [
        (jingle("session-initiate", [content()]), "unexpected-request out-of-order"),
        (jingle("session-accept", [content()]), "unexpected-request out-of-order"),
        (jingle("session-info"), "result"),
        (jingle("session-info", [Element("ringing", namespace: "urn:x")]), "feature-not-implemented unsupported-info"),
        (jingle("transport-info", [content()]), "feature-not-implemented unsupported-info"),
        (jingle("transport-replace", [content()]), "result"),
        (jingle("transport-replace"), "bad-request"),
        (jingle("content-add", [content()]), "result"),
        (jingle("content-remove", [content()]), "unexpected-request out-of-order"),
        (data(), "item-not-found"),
        (IBBOpen.close(sid: "s1"), "item-not-found"),
        (open(blockSize: "4097"), "resource-constraint"),
        (open(sid: "s2"), "not-acceptable"),
        (open(blockSize: "100"), "result"),
    ])
    func stepsOfAnAcceptedSession(_ request: Element, _ answer: String) throws {
        let pair = try JoinedPair.scripted()
        pair.acceptAtDesk(Recorder())
        #expect(pair.ask(Self.jingle("session-initiate", [Self.content()])) == "result")
        #expect(pair.conversation.contains("desk: session-accept"))
        #expect(pair.ask(request) == answer)
    }

    /// Blocks that end an open bytestream, and the answer to them.
    @Test(arguments: [
        (data(sequence: "1"), "unexpected-request"),
        (data(sequence: "65536"), "bad-request"),
        (data(sequence: "-1"), "bad-request"),
        (data(sequence: nil), "bad-request"),
        (data("aGVsbG8"), "bad-request"),
        (data("aGVs bG8="), "bad-request"),
        (data("aGVsbG9="), "bad-request"),
        (data("=GVsbG8="), "bad-request"),
        (data("aGVs<G8="), "bad-request"),
        (data(String(repeating: "AAAA", count: 34)), "bad-request"),
    ])
    func blocksThatBreakABytestream(_ request: Element, _ answer: String) throws {
        let pair = try JoinedPair.scripted()
        let desk = Recorder()
        pair.acceptAtDesk(desk)
        #expect(pair.ask(Self.jingle("session-initiate", [Self.content()])) == "result")
        #expect(pair.ask(Self.open(blockSize: "100")) == "result")
        #expect(desk.channel?.isActive == true)
        #expect(pair.ask(request) == answer)
        #expect(desk.errors == ["streamClosed"])
        #expect(desk.isClosed)
        #expect(pair.conversation.contains("desk: session-terminate"))
        #expect(pair.ask(Self.data()) == "item-not-found")
    }

    @Test func blocksBeyondTheWindowEndTheBytestream() throws {
        let pair = try JoinedPair.scripted()
        let desk = Recorder()
        pair.acceptAtDesk(desk)
        #expect(pair.ask(Self.jingle("session-initiate", [Self.content()])) == "result")
        #expect(pair.ask(Self.open()) == "result")
        try pair.set(desk, autoRead: false)
        #expect(pair.ask(Self.data(sequence: "0")) == "result")
        for sequence in 1...16 { #expect(pair.ask(Self.data(sequence: "\(sequence)")) == "nothing") }
        pair.forgetConversation()
        #expect(pair.ask(Self.data(sequence: "17")) == "resource-constraint")
        // Each of the others is answered too, once.
        #expect(pair.conversation.filter { $0 == "desk: error item-not-found" }.count == 16)
        #expect(desk.errors == ["streamClosed"])
        #expect(desk.received.count == 5)
    }

    @Test func aContactHasSixteenBytestreamsAtMost() throws {
        let pair = try JoinedPair.scripted()
        pair.acceptAtDesk(Recorder())
        for index in 0..<16 {
            var transport = Self.transport
            transport["sid"] = "s\(index)"
            let offer = Self.jingle(
                "session-initiate", sid: "j\(index)", [Self.content([JoinedPair.application, transport])])
            #expect(pair.ask(offer) == "result")
        }
        #expect(pair.ask(Self.jingle("session-initiate", sid: "more", [Self.content()])) == "resource-constraint")
        pair.isRobotScripted = false
        // Ours towards that contact are counted apart.
        let desk = Recorder()
        pair.desk.bytestreams.jingle.open(
            to: pair.robot.jid, application: JoinedPair.application, on: pair.desk.loop, timeout: .seconds(1),
            initializer: { desk.install(on: $0) }, completion: { desk.completed($0) })
        pair.settle()
        #expect(desk.error?.message.contains("unsupported-applications") == true)
    }

    @Test func sixteenAreTheMostWeOpenToAContact() throws {
        var limits = BytestreamLimits()
        limits.openingsAtOnce = 16
        let pair = try JoinedPair(limits: limits)
        for _ in 0..<16 { _ = try pair.open() }
        let one = Recorder()
        pair.openFromRobot(one)
        #expect(one.error?.code == .limitExceeded)
        #expect(one.completions == 1)
    }

    @Test func aReusedBytestreamIDIsTurnedDown() throws {
        let pair = try JoinedPair.scripted()
        pair.acceptAtDesk(Recorder())
        #expect(pair.ask(Self.jingle("session-initiate", [Self.content()])) == "result")
        pair.forgetConversation()
        #expect(pair.ask(Self.jingle("session-initiate", sid: "j2", [Self.content()])) == "result")
        #expect(pair.conversation.contains("desk: session-terminate"))
        #expect(pair.desk.bytestreams.jingle.sessions.count == 1)
    }
}

extension JoinedPair {
    fileprivate static func scripted() throws -> JoinedPair {
        let pair = try JoinedPair()
        pair.isRobotScripted = true
        return pair
    }
}
