import NIOCore
import NIOEmbedded
import Testing

@testable import XMPP

/// What a contact can make us hold and dial by SOCKS5 bytestreams. No sockets: robot is a script, and desk's event loop has none.
@Suite struct SOCKS5HostilityTests {
    private static let options = SOCKS5Options(addresses: { [] }, permits: { _ in nil })

    private static func pair(_ options: SOCKS5Options = options) throws -> JoinedPair {
        let pair = try JoinedPair()
        pair.isRobotScripted = true
        pair.desk.bytestreams.socks5.handlers.setSOCKS5(options)
        pair.acceptAtDesk(Recorder())
        return pair
    }

    private static func jingle(_ action: String, _ number: Int, _ children: [Element] = []) -> Element {
        let transport = Element("transport", namespace: Namespaces.jingleSOCKS5, attributes: ["sid": "t\(number)"], children: children)
        let content = Element(
            "content", namespace: Namespaces.jingle, attributes: ["creator": "initiator", "name": "c"],
            children: (action == "session-initiate" ? [JoinedPair.application] : []) + [transport])
        return Element("jingle", namespace: Namespaces.jingle, attributes: ["action": action, "sid": "s\(number)"], children: [content])
    }

    private static func candidates(_ count: Int, type: String = "direct", network: String = "192.0.2") -> [Element] {
        (0..<count).map { number in
            Element(
                "candidate",
                attributes: [
                    "cid": "\(type)\(number)", "host": "\(network).\(number + 1)", "port": "9", "jid": "robot@mesh.test/r1",
                    "priority": "8257636", "type": type,
                ])
        }
    }

    /// What became of the candidates of session `number`, which is over then.
    private static func reasons(_ pair: JoinedPair, _ number: Int, _ candidates: [Element]) -> [String] {
        check(pair.ask(jingle("session-initiate", number, candidates)), "result")
        // Dials that wait for their turn.
        for _ in 0..<20 { pair.advance(by: .milliseconds(100)) }
        let stream = pair.desk.bytestreams.socks5.streams.values.first { $0.sid == "t\(number)" }
        let reasons = stream?.report.candidates.compactMap(\.reason) ?? []
        check(pair.ask(jingle("transport-info", number, [Element("candidate-error")])), "result")
        return reasons
    }

    @Test func sessionsAreManyAndTheirDialsAreNot() throws {
        let pair = try Self.pair()
        var (dialled, refused) = (0, 0)
        for number in 0..<10 {
            for reason in Self.reasons(pair, number, Self.candidates(8, network: "198.51.\(number)")) {
                if reason.contains("too many candidates of this contact") { refused += 1 } else { dialled += 1 }
            }
        }
        // The sessions took 20 s, in which four more are granted.
        #expect(dialled + refused == 80 && (48...53).contains(dialled), "\(dialled) and \(refused)")
    }

    @Test func addressesThatAreRefusedWithoutAPacketCostNothing() throws {
        let pair = try Self.pair(SOCKS5Options(addresses: { [] }, permits: { $0.hasPrefix("10.") ? "no" : nil }))
        for number in 0..<10 {
            let reasons = Self.reasons(pair, number, Self.candidates(8, network: "10.0.\(number)"))
            #expect(reasons.count == 8 && reasons.allSatisfy { $0.hasSuffix(": no") }, "\(reasons)")
        }
        let reasons = Self.reasons(pair, 10, Self.candidates(8))
        #expect(reasons.count == 8 && !reasons.contains { $0.contains("too many candidates") }, "\(reasons)")
    }

    @Test func aContactHasFourNegotiationsAtOneTime() throws {
        let pair = try Self.pair()
        let socks5 = pair.desk.bytestreams.socks5
        for number in 0..<4 { check(pair.ask(Self.jingle("session-initiate", number)), "result") }
        #expect(socks5.streams.count == 4)
        var reason: Element?
        pair.tamper = { stanza in
            if case .request(let iq) = stanza, iq.payload["action"] == "session-terminate" { reason = iq.payload.child("reason") }
            return stanza
        }
        check(pair.ask(Self.jingle("session-initiate", 4)), "result")
        #expect(socks5.streams.count == 4)
        #expect(reason?.children.first?.name == "busy")
        #expect(reason?.child("text")?.text.hasPrefix("4 SOCKS5 bytestreams of yours are being negotiated") == true)
        // One that is over makes room.
        check(pair.ask(Self.jingle("transport-info", 0, [Element("candidate-error")])), "result")
        check(pair.ask(Self.jingle("session-initiate", 5)), "result")
        #expect(socks5.streams.count == 4 && socks5.streams.values.contains { $0.sid == "t5" })
    }

    @Test func theNegotiationsOfAllContactsAreBounded() throws {
        let pair = try Self.pair()
        let socks5 = pair.desk.bytestreams.socks5
        let transport = SOCKS5Transport(sid: "t").element
        for number in 0..<UInt64(socks5.limits.negotiations) {
            try socks5.take(number, transport, of: try #require(JID("c\(number)@mesh.test/r")))
        }
        let late = try #require(JID("late@mesh.test/r"))
        let error = #expect(throws: JingleReason.self) { try socks5.take(1000, transport, of: late) }
        #expect(error?.condition == "busy")
    }

    @Test func theLargestHolderOfNegotiationsGivesOneUp() throws {
        let pair = try Self.pair()
        let socks5 = pair.desk.bytestreams.socks5
        for number in 0..<UInt64(socks5.limits.negotiations) {
            try socks5.take(number, SOCKS5Transport(sid: "t\(number)").element, of: try #require(JID("c\(number / 4)@mesh.test/r")))
        }
        let late = try #require(JID("late@mesh.test/r"))
        try socks5.take(1000, SOCKS5Transport(sid: "late").element, of: late)
        #expect(socks5.streams.count == socks5.limits.negotiations && socks5.streams[1000] != nil && socks5.streams[0] == nil)
    }

    @Test func fewSocketsOutliveTheirSessions() throws {
        let pair = try Self.pair()
        let socks5 = pair.desk.bytestreams.socks5
        var number: UInt64 = 0
        func detaches(_ contact: String, isOurs: Bool = false) throws -> Bool {
            number += 1
            let peer = try #require(JID("\(contact)@mesh.test/r"))
            let stream = SOCKS5Stream(
                number: number, peer: peer, sid: "t\(number)", ownJID: pair.desk.jid, isInitiator: isOurs, options: Self.options,
                now: pair.now)
            stream.channel = EmbeddedChannel()
            socks5.streams[number] = stream
            return socks5.detach(number)
        }
        for _ in 0..<4 { #expect(try detaches("one")) }
        #expect(try !detaches("one"))
        for contact in 0..<60 { #expect(try detaches("c\(contact)")) }
        // In the place of one of the largest holder's, until that holds no more than others would.
        for contact in 0..<3 { #expect(try detaches("d\(contact)")) }
        #expect(socks5.streams.values.count(where: \.isDetached) == 64)
        let left = socks5.streams.values.filter { $0.isDetached && $0.peer.bare.description == "one@mesh.test" }.count
        #expect(left == 1)
        #expect(try !detaches("another"))
        #expect(try detaches("another", isOurs: true))
    }

    /// The application asks for direct candidates alone, as the opener did.
    @Test(arguments: [true, false])
    func onlyTheKindThatTheApplicationWantsIsDialledAndOffered(_ namesKind: Bool) throws {
        let pair = try Self.pair()
        let direct = SOCKS5Options(allowsProxy: false, addresses: { [] }, permits: { _ in nil })
        let recorder = Recorder()
        pair.desk.bytestreams.jingle.setHandler(applicationNamespace: JoinedPair.namespace, on: pair.desk.loop) { _ in
            namesKind ? .acceptOver(.socks5(direct)) { channel, _ in recorder.install(on: channel) } : .accept { recorder.install(on: $0) }
        }
        let reasons = Self.reasons(pair, 0, Self.candidates(1) + Self.candidates(1, type: "proxy"))
        #expect(reasons.count == 2)
        #expect(reasons.contains("its kind is switched off here") == namesKind, "\(reasons)")
    }
}
