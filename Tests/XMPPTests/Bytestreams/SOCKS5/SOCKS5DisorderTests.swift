import NIOCore
import Testing

@testable import XMPP

/// What a peer may say of a SOCKS5 bytestream, in good order and in bad: each gets an answer, and nothing stays behind. No sockets: robot
/// is a script, and desk's event loop has none.
@Suite struct SOCKS5DisorderTests {
    private static let options = SOCKS5Options(addresses: { [] }, permits: { _ in "not in this test" })

    private static func pair(_ options: SOCKS5Options? = options) throws -> JoinedPair {
        let pair = try JoinedPair()
        pair.isRobotScripted = true
        pair.desk.bytestreams.socks5.handlers.setSOCKS5(options)
        pair.acceptAtDesk(Recorder())
        return pair
    }

    private static func candidate(_ cid: String, host: String = "192.0.2.1", type: String = "direct") -> Element {
        Element(
            "candidate",
            attributes: ["cid": cid, "host": host, "port": "9", "jid": "robot@mesh.test/r1", "priority": "8257636", "type": type])
    }

    private static func transport(_ children: [Element] = [], sid: String = "t", namespace: String = Namespaces.jingleSOCKS5) -> Element {
        Element("transport", namespace: namespace, attributes: ["sid": sid, "block-size": "4096"], children: children)
    }

    private static func jingle(_ action: String, _ transports: [Element], sid: String = "s", contents: Int = 1) -> Element {
        let content = Element(
            "content", namespace: Namespaces.jingle, attributes: ["creator": "initiator", "name": "c"],
            children: (action == "session-initiate" ? [JoinedPair.application] : []) + transports)
        return Element(
            "jingle", namespace: Namespaces.jingle, attributes: ["action": action, "sid": sid],
            children: Array(repeating: content, count: contents))
    }

    private static func info(_ name: String, _ cid: String? = nil, sid: String = "t") -> Element {
        var element = Element(name)
        element["cid"] = cid
        return jingle("transport-info", [transport([element], sid: sid)])
    }

    private static func expectNothingLeft(_ pair: JoinedPair, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(pair.desk.bytestreams.socks5.streams.isEmpty, sourceLocation: sourceLocation)
        #expect(pair.desk.bytestreams.jingle.sessions.isEmpty, sourceLocation: sourceLocation)
        #expect(pair.desk.bytestreams.jingle.sessionsByID.isEmpty, sourceLocation: sourceLocation)
    }

    // MARK: Offers

    @Test func candidateThatIsNotPermittedIsToldAndBothFailuresEndTheSession() throws {
        let pair = try Self.pair()
        check(pair.ask(Self.jingle("session-initiate", [Self.transport([Self.candidate("a")])])), "result")
        #expect(pair.conversation.filter { $0.hasPrefix("desk: ") } == [
            "desk: result", "desk: query", "desk: session-accept", "desk: transport-info",
        ])
        #expect(pair.desk.bytestreams.socks5.streams.count == 1)
        check(pair.ask(Self.info("candidate-error")), "result")
        #expect(pair.conversation.contains("desk: session-terminate"))
        check(pair.ask(Self.info("candidate-error")), "item-not-found unknown-session")
        Self.expectNothingLeft(pair)
    }

    @Test func offerIsRefusedWhileItIsSwitchedOff() throws {
        let off = SOCKS5Options(allowsDirect: false, allowsProxy: false, addresses: { [] }, permits: { _ in nil })
        for options in [nil, off] {
            let pair = try Self.pair(options)
            #expect(pair.desk.bytestreams.socks5.features.isEmpty)
            check(pair.ask(Self.jingle("session-initiate", [Self.transport()])), "result")
            #expect(pair.conversation.contains("desk: session-terminate"))
            #expect(!pair.conversation.contains("desk: session-accept"))
            Self.expectNothingLeft(pair)
        }
    }

    @Test func brokenOfferEndsItsSessionAndNothingElse() throws {
        let pair = try Self.pair()
        check(pair.ask(Self.jingle("session-initiate", [Self.transport()], sid: "good")), "result")
        let broken = [
            Self.transport(sid: ""), Self.transport([Element("candidate")]), Self.transport([Self.candidate("")]),
            Self.transport(),  // The sid of the good one.
        ]
        for (index, transport) in broken.enumerated() {
            pair.forgetConversation()
            check(pair.ask(Self.jingle("session-initiate", [transport], sid: "s\(index)")), "result")
            #expect(pair.conversation.contains("desk: session-terminate"), "\(index)")
        }
        #expect(pair.desk.bytestreams.jingle.sessions.count == 1)
    }

    @Test func thousandCandidatesAreEightDials() throws {
        let pair = try Self.pair()
        let many = (0..<1000).map { Self.candidate("c\($0)") }
        check(pair.ask(Self.jingle("session-initiate", [Self.transport(many)])), "result")
        #expect(pair.desk.bytestreams.socks5.streams.values.first?.report.candidates.count == 8)
    }

    // MARK: Steps

    @Test func stepsOutOfOrderAreAnsweredByAnErrorAndChangeNothing() throws {
        let pair = try Self.pair()
        check(pair.ask(Self.info("candidate-error")), "item-not-found unknown-session")
        check(pair.ask(Self.jingle("session-initiate", [Self.transport()])), "result")
        let table: [(Element, String)] = [
            (Self.info("candidate-used", "none of ours"), "item-not-found"), (Self.info("candidate-used"), "bad-request"),
            (Self.info("candidate-used", ""), "bad-request"), (Self.info("activated", "p0"), "unexpected-request out-of-order"),
            (Self.info("activated"), "bad-request"), (Self.info("proxy-error"), "unexpected-request out-of-order"),
            (Self.info("candidate-error", sid: "another"), "bad-request"),
            (Self.info("what-is-this"), "feature-not-implemented unsupported-info"),
            (Self.jingle("transport-info", [Self.transport([Self.candidate("late")])]), "feature-not-implemented unsupported-info"),
            (Self.jingle("transport-info", []), "bad-request"),
            (Self.jingle("transport-info", [Self.transport()], contents: 2), "bad-request"),
            (Self.jingle("transport-info", [Self.transport(namespace: Namespaces.jingleIBB)]), "feature-not-implemented unsupported-info"),
            (Self.jingle("session-accept", [Self.transport()]), "unexpected-request out-of-order"),
        ]
        for (payload, answer) in table { check(pair.ask(payload), answer) }
        #expect(pair.desk.bytestreams.jingle.sessions.count == 1)
        check(pair.ask(Self.info("candidate-error")), "result")
        Self.expectNothingLeft(pair)
    }

    @Test func peerThatSaysNothingMoreLosesTheSession() throws {
        let pair = try Self.pair()
        check(pair.ask(Self.jingle("session-initiate", [Self.transport([Self.candidate("a")])])), "result")
        pair.advance(by: .seconds(31))
        #expect(pair.conversation.contains("desk: session-terminate"))
        Self.expectNothingLeft(pair)
    }

    @Test func peerThatGoesOrIsLostInTheNegotiationLeavesNothing() throws {
        for isGone in [true, false] {
            let pair = try Self.pair()
            check(pair.ask(Self.jingle("session-initiate", [Self.transport([Self.candidate("a")])])), "result")
            if isGone {
                pair.desk.bytestreams.peerUnavailable(pair.robot.jid)
            } else {
                pair.desk.bytestreams.disconnected(XMPPError(.connectionLost, "cut"))
            }
            Self.expectNothingLeft(pair)
        }
    }

    // MARK: Our offers

    private static func open(_ pair: JoinedPair, _ recorder: Recorder, _ options: SOCKS5Options = options) {
        let plan = ChannelPlan(eventLoop: pair.robot.loop) { channel, _ in
            recorder.install(on: channel)
        } completion: {
            recorder.completed($0)
        }
        pair.robot.bytestreams.jingle.open(
            to: pair.desk.jid, application: JoinedPair.application, over: .socks5(options), timeout: .seconds(30), plan: plan)
        pair.settle()
    }

    @Test func attemptWithoutACandidateFailsAtBothEnds() throws {
        let pair = try JoinedPair()
        pair.desk.bytestreams.socks5.handlers.setSOCKS5(Self.options)
        let (near, far) = (Recorder(), Recorder())
        pair.acceptAtDesk(far)
        Self.open(pair, near)
        #expect(near.completions == 1)
        #expect(near.error?.code == .noPath)
        #expect(near.error?.report == BytestreamReport(kind: nil))
        #expect(far.channel == nil)
        Self.expectNothingLeft(pair)
        #expect(pair.robot.bytestreams.socks5.streams.isEmpty)
    }

    @Test func attemptWithEverythingSwitchedOffIsAConfigurationError() throws {
        let pair = try JoinedPair()
        let near = Recorder()
        Self.open(pair, near, SOCKS5Options(allowsDirect: false, allowsProxy: false, addresses: { [] }, permits: { _ in nil }))
        #expect(near.error?.code == .configuration)
        #expect(pair.conversation.isEmpty)
    }

    /// Before session-initiate is sent the peer knows nothing, and is told nothing.
    @Test func attemptThatIsGivenUpWhileItsOfferIsPreparedSendsNothing() throws {
        let pair = try JoinedPair()
        pair.isHeld = true
        let near = Recorder()
        // The discovery of proxies is under way.
        Self.open(pair, near)
        #expect(pair.held == ["query"])
        pair.robot.bytestreams.jingle.cancelOpening(.init(rawValue: 1))
        pair.isHeld = false
        pair.settle()
        #expect(near.error?.code == .cancelled)
        #expect(!pair.conversation.contains { $0.contains("session-") })
        #expect(pair.robot.bytestreams.socks5.streams.isEmpty)
    }
}
