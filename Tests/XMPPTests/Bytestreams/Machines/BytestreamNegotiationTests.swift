import Testing

@testable import XMPP

@Suite struct BytestreamNegotiationTests {
    private typealias Session = JingleSessionStateMachine
    private typealias InBand = InBandNegotiationStateMachine

    private let offer = InBandTransport(blockSize: 4096, sid: "s")
    private let open = IBBOpen(blockSize: 4096, sid: "s")

    // MARK: The session

    @Test func theInitiatorsSession() {
        var machine = Session.initiated
        #expect(machine.isNegotiating)
        check(machine.opened(), false)
        check(machine.accepted(), false)
        check(machine.peerAccepted(), true)
        check(machine.peerAccepted(), false)
        #expect(machine.isNegotiating)
        check(machine.opened(), true)
        #expect(!machine.isNegotiating)
        check(machine.opened(), false)
        check(machine.end(), true)
        check(machine.end(), false)
    }

    @Test func theRespondersSession() {
        var machine = Session.offered
        check(machine.opened(), false)
        check(machine.peerAccepted(), false)
        check(machine.accepted(), true)
        check(machine.accepted(), false)
        check(machine.opened(), true)
        check(machine.peerAccepted(), false)
        check(machine.end(), true)
    }

    @Test func everyStateOfASessionMayEnd() {
        let ways: [(inout Session) -> Void] = [{ _ in }, { _ = $0.peerAccepted() }, { _ = $0.accepted() }]
        for start in [Session.initiated, .offered] {
            for way in ways {
                var machine = start
                way(&machine)
                #expect(machine.isNegotiating)
                check(machine.end(), true)
                #expect(!machine.isNegotiating)
                check(machine.peerAccepted(), false)
                check(machine.accepted(), false)
                check(machine.opened(), false)
                check(machine.end(), false)
            }
        }
    }

    // MARK: The in-band stream

    @Test func theInitiatorsStream() {
        var machine = InBand.initiated(offer)
        check(machine.openAccepted(), nil)
        check(machine.accept(), nil)
        check(machine.received(open: open), .refuse(.notAcceptable))
        check(machine.peerAccepted(offer), open)
        check(machine.peerAccepted(offer), nil)
        check(machine.openAccepted(), offer)
        check(machine.openAccepted(), nil)
    }

    @Test func theRespondersStream() {
        var machine = InBand.offered(offer)
        check(machine.received(open: open), .refuse(.notAcceptable))
        check(machine.accept(), offer)
        check(machine.accept(), nil)
        check(machine.received(open: IBBOpen(blockSize: 4096, sid: "t")), .refuse(.notAcceptable))
        check(machine.received(open: IBBOpen(blockSize: 5000, sid: "s")), .refuse(.resourceConstraint))
        check(machine.received(open: IBBOpen(blockSize: 100, sid: "s")), .establish(InBandTransport(blockSize: 100, sid: "s")))
        check(machine.received(open: open), .refuse(.notAcceptable))
        check(machine.peerAccepted(offer), nil)
    }

    @Test func aSmallerBlockIsTaken() {
        var machine = InBand.initiated(offer)
        let smaller = InBandTransport(blockSize: 1024, sid: "s")
        check(machine.peerAccepted(smaller), IBBOpen(blockSize: 1024, sid: "s"))
        check(machine.openAccepted(), smaller)
    }

    /// What a peer accepts instead of desk's offer ends the session.
    @Test(arguments: [
        [], [InBandTransport(blockSize: 8192, sid: "SID")], [InBandTransport(blockSize: 4096, sid: "t")],
        Array(repeating: InBandTransport(blockSize: 4096, sid: "SID"), count: 2),
    ])
    private func anAcceptForSomethingElseEndsTheSession(_ transports: [InBandTransport]) throws {
        let pair = try JoinedPair()
        let robot = Recorder()
        pair.isHeld = true
        pair.openFromRobot(robot)
        pair.settle()
        let session = try #require(pair.robot.bytestreams.jingle.sessions.values.first)
        let stream = try #require(pair.robot.bytestreams.inBand.streams.values.first)
        let contents = transports.map { transport in
            var transport = transport
            if transport.sid == "SID" { transport.sid = stream.sid }
            return JingleContent(application: nil, transport: transport.element)
        }
        let message = JingleMessage(.sessionAccept, sid: session.sid, contents: contents)
        let accept = IQRequest(id: "q", from: pair.desk.jid, kind: .set, payload: message.element)
        #expect(pair.robot.bytestreams.received(accept))
        #expect(pair.held.suffix(2) == ["result", "session-terminate"])
        #expect(robot.error?.code == .streamRefused && robot.error?.message == "that is not the transport that was offered")
        #expect(pair.robot.bytestreams.jingle.sessions.isEmpty && pair.robot.bytestreams.inBand.streams.isEmpty)
        // The session has ended.
        #expect(pair.robot.bytestreams.received(accept))
        #expect(pair.held.last == "error item-not-found unknown-session")
        // That the other side ends it, too, is no error.
        let end = JingleMessage(.sessionTerminate, sid: session.sid, reason: JingleReason("success"))
        #expect(pair.robot.bytestreams.received(IQRequest(id: "t", from: pair.desk.jid, kind: .set, payload: end.element)))
        #expect(pair.held.last == "result")
    }

    /// The owner ends a contact between our answer and its first step on the transport.
    @Test func anOpenAfterTheEndMakesNothing() throws {
        let pair = try JoinedPair()
        pair.isRobotScripted = true
        let desk = Recorder()
        pair.acceptAtDesk(desk)
        _ = pair.ask(BytestreamRefusalTests.jingle("session-initiate", [BytestreamRefusalTests.content()]))
        pair.settle()
        let sid = try #require(pair.desk.bytestreams.inBand.streams.values.first).sid
        pair.desk.bytestreams.contactRemoved(pair.robot.jid.bare, "revoked")
        #expect(pair.ask(IBBOpen(blockSize: 100, sid: sid).element) == "not-acceptable")
        #expect(desk.channel == nil && pair.desk.bytestreams.inBand.streams.isEmpty)
    }

    @Test func stepsSurviveWritingAndReading() throws {
        let application = Element("description", namespace: "urn:example:app:1", text: "x")
        var message = JingleMessage(
            .sessionInitiate, sid: "j", initiator: JID("a@b/c"),
            contents: [JingleContent(application: application, transport: offer.element)])
        message.reason = JingleReason("decline", text: "no <thanks>")
        #expect(try JingleMessage(parsing: message.element) == message)
        #expect(try IBBOpen(parsing: open.element) == open)
        #expect(
            message.element.description
                == "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' initiator='a@b/c' sid='j'>"
                + "<content creator='initiator' name='stream'><description xmlns='urn:example:app:1'>x</description>"
                + "<transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='4096' sid='s'/></content>"
                + "<reason><decline/><text>no &lt;thanks&gt;</text></reason></jingle>")
    }

    @Test func aPeersReasonIsBounded() {
        let long = Element(
            "reason", namespace: Namespaces.jingle,
            children: [
                Element(String(repeating: "x", count: 65)), Element("text", text: String(repeating: "y", count: 2000)),
            ])
        let reason = JingleReason(parsing: long)
        #expect(reason.condition == "general-error")
        #expect(reason.text.count == 1024)
        #expect(JingleReason(parsing: Element("reason")).condition == "general-error")
        #expect(JingleReason("success").isOrderly)
        #expect(!JingleReason("timeout").isOrderly)
    }

    @Test func namesAreRandomAndValid() {
        let names = Set((0..<100).map { _ in StreamName.random() })
        #expect(names.count == 100)
        #expect(names.allSatisfy { StreamName.isValid($0) && $0.utf8.count == 32 })
        #expect(!StreamName.isValid("a'b"))
        #expect(!StreamName.isValid("é"))
    }
}
