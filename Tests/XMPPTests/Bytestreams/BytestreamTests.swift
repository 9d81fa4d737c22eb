import NIOCore
import NIOEmbedded
import Testing

@testable import XMPP

@Suite struct BytestreamTests {
    @Test func negotiatesAJingleSessionOverInBandBlocks() throws {
        let pair = try JoinedPair()
        let ends = try pair.open()
        #expect(
            pair.conversation == [
                "robot: session-initiate", "desk: result", "desk: session-accept", "robot: result", "robot: open",
                "desk: result",
            ])
        #expect(ends.robot.events == ["registered", "active"])
        #expect(ends.desk.events == ["registered", "active"])
        #expect(ends.robot.completions == 1)
    }

    @Test func bytesTravelBothWaysAndAreAcknowledgedWhenRead() throws {
        let pair = try JoinedPair()
        let ends = try pair.open()
        pair.forgetConversation()
        ends.robot.write("hello")
        pair.settle()
        #expect(ends.desk.receivedText == "hello")
        ends.desk.write("world")
        pair.settle()
        #expect(ends.robot.receivedText == "world")
        #expect(pair.conversation == ["robot: data 0", "desk: result", "desk: data 0", "robot: result"])
        #expect(pair.robot.sink.pendingCount == 0)
        #expect(pair.desk.sink.pendingCount == 0)
    }

    @Test func anAnswerOvertakesTheAcknowledgement() throws {
        let pair = try JoinedPair()
        let desk = Recorder(echoes: true)
        let robot = Recorder()
        pair.acceptAtDesk(desk)
        pair.openFromRobot(robot)
        pair.settle()
        pair.forgetConversation()
        robot.write("ping")
        pair.settle()
        #expect(pair.conversation == ["robot: data 0", "desk: data 0", "desk: result", "robot: result"])
        #expect(robot.receivedText == "ping")
    }

    @Test func theAcknowledgementOfAShortBlockTravelsBehindTheAnswerOrLeavesAfterAWhile() throws {
        let pair = try JoinedPair(delaysAcknowledgements: true)
        let ends = try pair.open()
        pair.forgetConversation()
        ends.robot.write("question")
        pair.settle()
        #expect(pair.conversation == ["robot: data 0"])
        ends.desk.write("answer")
        pair.settle()
        #expect(pair.conversation == ["robot: data 0", "desk: data 0", "desk: result"])
        pair.robot.loop.advanceTime(by: .milliseconds(4))
        pair.settle()
        #expect(pair.conversation.count == 3)
        pair.robot.loop.advanceTime(by: .milliseconds(1))
        pair.settle()
        #expect(pair.conversation.suffix(1) == ["robot: result"])
    }

    @Test func aSecondBlockAndALongOneAreAcknowledgedAtOnce() throws {
        let pair = try JoinedPair(limits: JoinedPair.wide, delaysAcknowledgements: true)
        let ends = try pair.open()
        pair.forgetConversation()
        ends.robot.write("one")
        pair.settle()
        ends.robot.write("two")
        pair.settle()
        #expect(pair.conversation == ["robot: data 0", "robot: data 1", "desk: result", "desk: result"])
        ends.robot.channel?.writeAndFlush(ByteBuffer(repeating: 1, count: 1025), promise: nil)
        pair.settle()
        #expect(pair.conversation.suffix(2) == ["robot: data 2", "desk: result"])
    }

    @Test func writesOfOneFlushShareABlock() throws {
        let pair = try JoinedPair(limits: JoinedPair.wide)
        let ends = try pair.open()
        pair.forgetConversation()
        let channel = try #require(ends.robot.channel)
        for _ in 0..<100 { channel.write(ByteBuffer(repeating: 7, count: 30), promise: nil) }
        channel.flush()
        pair.settle()
        #expect(pair.conversation == ["robot: data 0", "desk: result"])
        #expect(ends.desk.events.suffix(1) == ["read 3000"])
    }

    @Test func aLongWriteIsCutIntoBlocksWithinTheWindow() throws {
        let pair = try JoinedPair(limits: JoinedPair.wide)
        let ends = try pair.open()
        pair.isHeld = true
        let bytes = (0..<50_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        ends.robot.channel?.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
        pair.settle()
        #expect(pair.held == ["data 0", "data 1", "data 2", "data 3"])
        pair.isHeld = false
        pair.settle()
        #expect(ends.desk.received == bytes)
    }

    @Test func closeInGoodOrderLooksLikeEndOfFileAfterEverythingWasRead() throws {
        let pair = try JoinedPair()
        let ends = try pair.open()
        pair.forgetConversation()
        ends.robot.channel?.writeAndFlush(ByteBuffer(repeating: 1, count: 60_000), promise: nil)
        ends.robot.channel?.close(promise: nil)
        pair.settle()
        #expect(ends.desk.received.count == 60_000)
        #expect(ends.desk.events.suffix(3) == ["inactive", "unregistered", "removed"])
        #expect(ends.desk.errors == [])
        #expect(ends.desk.isClosed)
        #expect(ends.robot.isClosed)
        #expect(pair.conversation.filter { $0 == "robot: close" || $0 == "robot: session-terminate" }.count == 2)
        #expect(!pair.conversation.contains { $0.hasPrefix("desk: close") || $0.hasPrefix("desk: error") })
        #expect(pair.robot.bytestreams.jingle.sessions.isEmpty)
        #expect(pair.desk.bytestreams.jingle.sessions.isEmpty)
        #expect(pair.robot.sink.pendingCount == 0)
    }

    @Test func bothSidesMayCloseAtOnce() throws {
        let pair = try JoinedPair()
        let ends = try pair.open()
        ends.robot.channel?.close(promise: nil)
        ends.desk.channel?.close(promise: nil)
        pair.settle()
        #expect(ends.robot.isClosed)
        #expect(ends.desk.isClosed)
        #expect(pair.robot.bytestreams.jingle.sessions.isEmpty)
        #expect(pair.desk.bytestreams.jingle.sessions.isEmpty)
        #expect(pair.robot.sink.pendingCount == 0)
        #expect(pair.desk.sink.pendingCount == 0)
    }

    @Test func aReaderThatStallsStallsItsSender() throws {
        let pair = try JoinedPair(limits: JoinedPair.wide)
        let ends = try pair.open()
        try pair.set(ends.desk, autoRead: false)
        pair.settle()
        pair.forgetConversation()
        // The read that auto-read had asked for takes the first block; the next ones wait.
        ends.robot.channel?.writeAndFlush(ByteBuffer(repeating: 1, count: 4096), promise: nil)
        pair.settle()
        ends.robot.channel?.writeAndFlush(ByteBuffer(repeating: 2, count: 200_000), promise: nil)
        pair.settle()
        #expect(ends.desk.received.count == 4096)
        #expect(pair.conversation.filter { $0 == "desk: result" }.count == 1)
        #expect(ends.robot.channel?.isWritable == false)
        // Each read takes what has come.
        ends.desk.channel?.read()
        pair.settle()
        #expect(ends.desk.received.count == 5 * 4096)
        try pair.set(ends.desk, autoRead: true)
        pair.settle()
        #expect(ends.desk.received.count == 204_096)
        #expect(ends.robot.channel?.isWritable == true)
        #expect(ends.robot.events.suffix(2) == ["full", "writable"])
    }

    @Test func aStalledReaderDoesNotStarveAnotherBytestream() throws {
        var limits = BytestreamLimits()
        limits.initialBudget = 16 * 1024
        limits.maximumBudget = limits.initialBudget
        let pair = try JoinedPair(limits: limits)
        let stalled = try pair.open()
        let lively = try pair.open()
        try pair.set(stalled.desk, autoRead: false)
        stalled.robot.write("the read that was already asked for")
        pair.settle()
        stalled.robot.channel?.writeAndFlush(ByteBuffer(repeating: 1, count: 100_000), promise: nil)
        pair.settle()
        #expect(pair.robot.bytestreams.inBand.budget.bytesUnderWay > 8 * 1024)
        lively.robot.write("hello")
        pair.settle()
        #expect(lively.desk.receivedText == "")
        // A ping to our own server proves that the blocks have left.
        pair.advance(by: .milliseconds(250))
        #expect(pair.conversation.contains("robot: ping"))
        #expect(lively.desk.receivedText == "hello")
    }

    @Test func bytestreamsTakeTurns() throws {
        var limits = BytestreamLimits()
        limits.initialBudget = 4096
        limits.maximumBudget = 4096
        let pair = try JoinedPair(limits: limits)
        let first = try pair.open()
        let second = try pair.open()
        pair.forgetConversation()
        let order = Order()
        pair.tamper = { stanza in
            if case .data(_, _, let sid, _, _) = stanza, let sid { order.note(sid) }
            return stanza
        }
        first.robot.channel?.writeAndFlush(ByteBuffer(repeating: 1, count: 20_480), promise: nil)
        second.robot.channel?.writeAndFlush(ByteBuffer(repeating: 2, count: 20_480), promise: nil)
        pair.settle()
        let sids = order.sids
        #expect(sids.count > 20)
        // The first one was alone when it began.
        for (one, next) in zip(sids.dropFirst(), sids.dropFirst(2)).prefix(17) { #expect(one != next) }
    }
}

/// Whose blocks came, in order.
private final class Order {
    private(set) var sids: [String] = []
    func note(_ sid: String) { sids.append(sid) }
}

extension JoinedPair {
    func set(_ recorder: Recorder, autoRead: Bool) throws {
        try #require(recorder.channel).setOption(.autoRead, value: autoRead).wait()
    }
}
