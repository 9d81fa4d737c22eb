import NIOCore
import Testing

@testable import XMPP

/// Attempts that fail and bytestreams that are lost.
@Suite struct BytestreamLossTests {
    @Test func anApplicationDeclines() throws {
        let pair = try JoinedPair()
        pair.desk.bytestreams.jingle.setHandler(applicationNamespace: JoinedPair.namespace, on: pair.desk.loop) { offer in
            .decline(reason: "not today, \(offer.from.node ?? "")")
        }
        let robot = Recorder()
        pair.openFromRobot(robot)
        pair.settle()
        #expect(robot.error?.code == .streamRefused)
        #expect(robot.error?.message.contains("decline: not today, robot") == true)
        #expect(robot.completions == 1)
        #expect(pair.robot.bytestreams.jingle.sessions.isEmpty)
        #expect(pair.desk.bytestreams.jingle.sessions.isEmpty)
    }

    @Test func nobodyThere() throws {
        let pair = try JoinedPair()
        pair.tamper = { stanza in
            // What a server answers for a resource that is gone.
            guard case .request(let iq) = stanza, iq.payload["action"] == "session-initiate" else { return stanza }
            pair.robot.sink.answered(
                from: pair.desk.jid, id: iq.id,
                .failure(XMPPError(.stanza, "an error", stanzaError: .serviceUnavailable)))
            return nil
        }
        let robot = Recorder()
        pair.openFromRobot(robot)
        pair.settle()
        #expect(robot.error?.code == .streamRefused)
        #expect(robot.error?.stanzaError == .serviceUnavailable)
        #expect(robot.completions == 1)
    }

    @Test func aPeerThatNeverAcceptsRunsOutOfTime() throws {
        let pair = try JoinedPair()
        pair.acceptAtDesk(Recorder())
        pair.tamper = { stanza in stanza.summary == "session-accept" ? nil : stanza }
        let robot = Recorder()
        pair.openFromRobot(robot, timeout: .seconds(5))
        pair.settle()
        pair.advance(by: .seconds(4))
        #expect(robot.completions == 0)
        pair.advance(by: .seconds(2))
        #expect(robot.error?.code == .timedOut)
        #expect(robot.completions == 1)
        #expect(pair.robot.bytestreams.jingle.sessions.isEmpty)
        #expect(pair.desk.bytestreams.jingle.sessions.isEmpty)
    }

    @Test func aPeerThatNeverOpensIsForgotten() throws {
        let pair = try JoinedPair()
        pair.isRobotScripted = true
        pair.acceptAtDesk(Recorder())
        #expect(
            pair.ask(BytestreamRefusalTests.jingle("session-initiate", [BytestreamRefusalTests.content()])) == "result")
        #expect(pair.desk.bytestreams.jingle.sessions.count == 1)
        pair.advance(by: .seconds(30))
        #expect(pair.desk.bytestreams.jingle.sessions.isEmpty)
        #expect(pair.conversation.contains("desk: session-terminate"))
    }

    @Test func anAttemptIsGivenUp() throws {
        let pair = try JoinedPair()
        pair.acceptAtDesk(Recorder())
        pair.isHeld = true
        let robot = Recorder()
        let id = pair.openFromRobot(robot)
        pair.settle()
        pair.robot.bytestreams.jingle.cancelOpening(id)
        #expect(robot.error?.code == .cancelled)
        pair.robot.bytestreams.jingle.cancelOpening(id)
        pair.isHeld = false
        pair.settle()
        #expect(robot.completions == 1)
        #expect(pair.robot.bytestreams.jingle.sessions.isEmpty)
        #expect(pair.desk.bytestreams.jingle.sessions.isEmpty)
    }

    @Test func withoutAConnectionNothingIsTried() throws {
        let pair = try JoinedPair()
        pair.robot.sink.ownJID = nil
        let robot = Recorder()
        pair.openFromRobot(robot)
        #expect(robot.error?.code == .notConnected)
    }

    @Test func aBareAddressIsRefused() throws {
        let pair = try JoinedPair()
        let robot = Recorder()
        pair.robot.bytestreams.jingle.open(
            to: pair.desk.jid.bare, application: JoinedPair.application, on: pair.robot.loop, timeout: .zero,
            initializer: { robot.install(on: $0) }, completion: { robot.completed($0) })
        #expect(robot.error?.code == .invalidInput)
    }

    @Test func handlersThatCannotBeInstalledCloseTheBytestream() throws {
        struct Broken: Error {}
        let pair = try JoinedPair()
        pair.desk.bytestreams.jingle.setHandler(applicationNamespace: JoinedPair.namespace, on: pair.desk.loop) { _ in
            .accept { $0.eventLoop.makeFailedFuture(Broken()) }
        }
        let robot = Recorder()
        pair.openFromRobot(robot)
        pair.settle()
        // Here the news comes before robot's own handlers are in place, so its attempt fails.
        #expect(robot.error?.code == .streamClosed)
        #expect(robot.error?.message.contains("failed-application") == true)
        #expect(robot.completions == 1)
        #expect(robot.isClosed)
        #expect(pair.robot.bytestreams.jingle.sessions.isEmpty)
        #expect(pair.desk.bytestreams.jingle.sessions.isEmpty)
    }

    @Test func ourOwnHandlersThatCannotBeInstalledFailTheAttempt() throws {
        struct Broken: Error {}
        let pair = try JoinedPair()
        let desk = Recorder()
        pair.acceptAtDesk(desk)
        let robot = Recorder()
        pair.robot.bytestreams.jingle.open(
            to: pair.desk.jid, application: JoinedPair.application, on: pair.robot.loop, timeout: .seconds(1),
            initializer: { $0.eventLoop.makeFailedFuture(Broken()) }, completion: { robot.completed($0) })
        pair.settle()
        #expect(robot.error?.cause is Broken)
        #expect(robot.completions == 1)
        #expect(desk.isClosed)
        #expect(pair.robot.bytestreams.jingle.sessions.isEmpty)
    }

    @Test func aPeerThatGoesOfflineEndsItsBytestreamsAtOnce() throws {
        let pair = try JoinedPair()
        let ends = try pair.open()
        pair.isHeld = true
        ends.robot.write("into the void")
        pair.settle()
        pair.robot.bytestreams.peerUnavailable(pair.desk.jid)
        pair.settle()
        #expect(ends.robot.errors == ["streamClosed"])
        #expect(ends.robot.events.suffix(3) == ["inactive", "unregistered", "removed"])
        #expect(pair.robot.bytestreams.jingle.sessions.isEmpty)
    }

    @Test func anotherResourceThatGoesOfflineDoesNot() throws {
        let pair = try JoinedPair()
        let ends = try pair.open()
        pair.robot.bytestreams.peerUnavailable(try #require(JID("desk@mesh.test/d2")))
        pair.settle()
        #expect(ends.robot.channel?.isActive == true)
    }

    @Test func aRemovedContactLosesItsBytestreams() throws {
        let pair = try JoinedPair()
        let ends = try pair.open()
        pair.robot.bytestreams.contactRemoved(pair.desk.jid.bare, "no contact any more")
        pair.settle()
        #expect(ends.robot.errors == ["streamClosed"])
        #expect(ends.desk.isClosed)
        #expect(pair.desk.bytestreams.jingle.sessions.isEmpty)
    }

    @Test func aLostConnectionEndsEverythingAtOnceAndNothingIsSent() throws {
        let pair = try JoinedPair()
        let ends = try pair.open()
        let attempt = Recorder()
        pair.isHeld = true
        pair.openFromRobot(attempt)
        ends.robot.channel?.writeAndFlush(ByteBuffer(repeating: 1, count: 300_000), promise: nil)
        pair.settle()
        let held = pair.held.count
        pair.robot.sink.disconnect()
        pair.robot.bytestreams.disconnected(XMPPError(.connectionLost, "the stream ended"))
        pair.settle()
        #expect(ends.robot.errors.count == 1)
        #expect(ends.robot.isClosed)
        #expect(attempt.error != nil)
        #expect(attempt.completions == 1)
        #expect(pair.held.count == held)
        #expect(pair.robot.bytestreams.jingle.sessions.isEmpty)
        #expect(pair.robot.bytestreams.inBand.budget.bytesUnderWay == 0)
        // The next connection starts afresh; what desk says about the old one is answered.
        pair.robot.sink.ownJID = pair.robot.jid
        pair.desk.bytestreams.peerUnavailable(pair.robot.jid)
        pair.isHeld = false
        pair.settle()
        let again = try pair.open()
        again.robot.write("hello again")
        pair.settle()
        #expect(again.desk.receivedText == "hello again")
    }

    @Test func aPeerThatStopsAcknowledgingIsGivenUp() throws {
        let pair = try JoinedPair()
        let ends = try pair.open()
        pair.tamper = { stanza in
            if case .data = stanza { return nil }
            return stanza
        }
        ends.robot.write("hello")
        pair.settle()
        pair.advance(by: .seconds(19))
        #expect(ends.robot.channel?.isActive == true)
        pair.advance(by: .seconds(2))
        #expect(ends.robot.errors == ["timedOut"])
        #expect(ends.robot.isClosed)
        #expect(ends.desk.isClosed)
        #expect(pair.desk.bytestreams.jingle.sessions.isEmpty)
    }

    /// Its own answer may take a slow line for minutes, and it reads on only then.
    @Test func aPeerThatSendsIsNotGivenUpWhileItDoesNotRead() throws {
        let pair = try JoinedPair()
        let ends = try pair.open()
        try pair.set(ends.desk, autoRead: false)
        ends.robot.write("one")
        pair.settle()
        ends.robot.write("two")
        pair.settle()
        for _ in 0..<6 {
            ends.desk.write("still answering")
            pair.settle()
            pair.advance(by: .seconds(19))
        }
        #expect(ends.robot.errors == [])
        try pair.set(ends.desk, autoRead: true)
        pair.settle()
        #expect(ends.desk.receivedText == "onetwo")
        // With everything acknowledged it may be silent as long as it likes.
        pair.advance(by: .seconds(100))
        #expect(ends.robot.channel?.isActive == true)
        ends.robot.write("three")
        pair.settle()
        #expect(ends.desk.receivedText == "onetwothree")
    }

    @Test func aPeerThatSendsAndNeverReadsIsGivenUpInTheEnd() throws {
        let pair = try JoinedPair()
        let ends = try pair.open()
        try pair.set(ends.desk, autoRead: false)
        ends.robot.write("one")
        pair.settle()
        ends.robot.write("two")
        pair.settle()
        for _ in 0..<40 where ends.robot.errors == [] {
            ends.desk.write("still answering")
            pair.settle()
            pair.advance(by: .seconds(19))
        }
        #expect(ends.robot.errors == ["timedOut"])
        #expect(pair.robot.bytestreams.jingle.sessions.isEmpty)
    }

    @Test func aRefusedBlockEndsTheBytestream() throws {
        let pair = try JoinedPair()
        let ends = try pair.open()
        pair.tamper = { stanza in
            guard case .data(let from, let id, let sid, _, let base64) = stanza else { return stanza }
            return .data(from: from, id: id, sid: sid, sequence: "7", base64: base64)
        }
        ends.robot.write("hello")
        pair.settle()
        #expect(ends.robot.errors == ["streamClosed"])
        #expect(ends.desk.errors == ["streamClosed"])
        #expect(pair.robot.bytestreams.jingle.sessions.isEmpty)
        #expect(pair.desk.bytestreams.jingle.sessions.isEmpty)
    }

    @Test func terminateWithAComplaintIsALoss() throws {
        let pair = try JoinedPair()
        let ends = try pair.open()
        pair.robot.bytestreams.jingle.end(
            try #require(pair.robot.bytestreams.jingle.sessions.values.first), XMPPError(.streamClosed, "a test"),
            tell: JingleReason("failed-transport", text: "a test"))
        pair.settle()
        #expect(ends.robot.errors == ["streamClosed"])
        #expect(ends.desk.isClosed)
        #expect(pair.desk.bytestreams.jingle.sessions.isEmpty)
    }

    @Test func whatWasNotReadBeforeTheChannelClosedIsNotAcknowledged() throws {
        let pair = try JoinedPair()
        let ends = try pair.open()
        try pair.set(ends.desk, autoRead: false)
        ends.robot.write("one")
        pair.settle()
        ends.robot.write("two")
        pair.settle()
        pair.isHeld = true
        ends.desk.channel?.close(promise: nil)
        pair.settle()
        #expect(pair.held == ["close", "error item-not-found", "session-terminate"])
        pair.isHeld = false
        pair.settle()
        #expect(ends.robot.isClosed)
        #expect(ends.robot.errors == [])
        #expect(pair.robot.bytestreams.jingle.sessions.isEmpty)
        #expect(pair.desk.bytestreams.jingle.sessions.isEmpty)
    }

    @Test func whatWasFlushedArrivesAlthoughThePeerKeepsSending() throws {
        let pair = try JoinedPair()
        let ends = try pair.open()
        try pair.set(ends.desk, autoRead: false)
        ends.robot.channel?.writeAndFlush(ByteBuffer(repeating: 1, count: 60_000), promise: nil)
        ends.desk.channel?.writeAndFlush(ByteBuffer(repeating: 2, count: 60_000), promise: nil)
        ends.desk.channel?.close(promise: nil)
        pair.settle()
        #expect(ends.robot.received.count == 60_000)
        #expect(ends.robot.isClosed)
        #expect(ends.robot.errors == [])
        #expect(pair.robot.sink.pendingCount == 0)
        #expect(pair.desk.sink.pendingCount == 0)
        #expect(pair.robot.bytestreams.jingle.sessions.isEmpty)
        #expect(pair.desk.bytestreams.jingle.sessions.isEmpty)
    }

    @Test func aReaderThatNeverReadsDoesNotKeepAClosedBytestream() throws {
        let pair = try JoinedPair()
        let ends = try pair.open()
        try pair.set(ends.desk, autoRead: false)
        ends.robot.write("one")
        pair.settle()
        ends.robot.write("two")
        ends.robot.channel?.close(promise: nil)
        pair.settle()
        #expect(ends.desk.channel?.isActive == true)
        #expect(pair.desk.bytestreams.jingle.sessions.count == 1)
        pair.advance(by: .seconds(30))
        #expect(ends.desk.errors == ["timedOut"])
        #expect(ends.desk.isClosed)
        #expect(pair.desk.bytestreams.jingle.sessions.isEmpty)
    }

    @Test func writesOnAClosedChannelFail() throws {
        let pair = try JoinedPair()
        let ends = try pair.open()
        let channel = try #require(ends.robot.channel)
        let pending = channel.write(ByteBuffer(string: "never flushed"))
        channel.close(promise: nil)
        pair.settle()
        #expect(throws: ChannelError.self) { try pending.wait() }
        #expect(throws: ChannelError.self) { try channel.writeAndFlush(ByteBuffer(string: "late")).wait() }
        #expect(throws: ChannelError.self) { try channel.close().wait() }
    }
}
