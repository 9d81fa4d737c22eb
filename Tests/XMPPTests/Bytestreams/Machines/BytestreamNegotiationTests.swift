import Testing

@testable import XMPP

@Suite struct BytestreamNegotiationTests {
    private typealias Machine = BytestreamNegotiationStateMachine

    private let offer = InBandTransport(blockSize: 4096, sid: "s")
    private let open = IBBOpen(blockSize: 4096, sid: "s")

    private func accept(_ transport: InBandTransport) -> JingleMessage {
        JingleMessage(.sessionAccept, sid: "j", contents: [JingleContent(application: nil, transport: transport)])
    }

    @Test func theInitiatorsWay() {
        var machine = Machine.initiated(offer)
        #expect(machine.isNegotiating)
        check(machine.openAccepted(), nil)
        check(machine.received(accept: accept(offer)), .open(open))
        check(machine.received(accept: accept(offer)), .refuse(.outOfOrder))
        check(machine.openAccepted(), offer)
        #expect(!machine.isNegotiating)
        check(machine.openAccepted(), nil)
        check(machine.end(), .streamEnds)
        check(machine.end(), .ignore)
    }

    @Test func theRespondersWay() {
        var machine = Machine.offered(offer)
        check(machine.received(open: open), .refuse(.notAcceptable))
        check(machine.accept(), offer)
        check(machine.accept(), nil)
        check(machine.received(open: IBBOpen(blockSize: 4096, sid: "t")), .refuse(.notAcceptable))
        check(machine.received(open: IBBOpen(blockSize: 5000, sid: "s")), .refuse(.resourceConstraint))
        check(machine.received(open: IBBOpen(blockSize: 100, sid: "s")), .establish(InBandTransport(blockSize: 100, sid: "s")))
        check(machine.received(open: open), .refuse(.notAcceptable))
        check(machine.received(accept: accept(offer)), .refuse(.outOfOrder))
        check(machine.end(), .streamEnds)
    }

    @Test func aSmallerBlockIsTaken() {
        var machine = Machine.initiated(offer)
        let smaller = InBandTransport(blockSize: 1024, sid: "s")
        check(machine.received(accept: accept(smaller)), .open(IBBOpen(blockSize: 1024, sid: "s")))
        check(machine.openAccepted(), smaller)
    }

    @Test(arguments: [
        JingleMessage(.sessionAccept, sid: "j"),
        JingleMessage(
            .sessionAccept, sid: "j",
            contents: [JingleContent(application: nil, transport: InBandTransport(blockSize: 8192, sid: "s"))]),
        JingleMessage(
            .sessionAccept, sid: "j",
            contents: [JingleContent(application: nil, transport: InBandTransport(blockSize: 4096, sid: "t"))]),
        JingleMessage(
            .sessionAccept, sid: "j",
            contents: Array(
                repeating: JingleContent(application: nil, transport: InBandTransport(blockSize: 4096, sid: "s")), count: 2)),
    ])
    private func anAcceptForSomethingElseEndsTheSession(_ message: JingleMessage) {
        var machine = Machine.initiated(offer)
        guard case .terminate(let reason) = machine.received(accept: message) else {
            Issue.record("it was taken")
            return
        }
        #expect(reason.condition == "failed-transport")
        #expect(!machine.isNegotiating)
        check(machine.end(), .ignore)
    }

    @Test func everyStateBeforeTheEndMayFail() {
        var proposed = Machine.initiated(offer)
        check(proposed.end(), .negotiationFailed)
        check(proposed.received(accept: accept(offer)), .refuse(.outOfOrder))
        var opening = Machine.initiated(offer)
        check(opening.received(accept: accept(offer)), .open(open))
        check(opening.end(), .negotiationFailed)
        check(opening.openAccepted(), nil)
        var deciding = Machine.offered(offer)
        check(deciding.end(), .negotiationFailed)
        check(deciding.accept(), nil)
        var accepted = Machine.offered(offer)
        check(accepted.accept(), offer)
        check(accepted.end(), .negotiationFailed)
        check(accepted.received(open: open), .refuse(.notAcceptable))
    }

    @Test func stepsSurviveWritingAndReading() throws {
        let application = Element("description", namespace: "urn:example:app:1", text: "x")
        var message = JingleMessage(
            .sessionInitiate, sid: "j", initiator: JID("a@b/c"),
            contents: [JingleContent(application: application, transport: offer)])
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
