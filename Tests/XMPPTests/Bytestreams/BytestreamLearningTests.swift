import NIOCore
import Testing

@testable import XMPP

/// What a connection learns of its server, and how its blocks follow.
@Suite struct BytestreamLearningTests {
    @Test func blocksFitIntoWhatTheServerAnnounces() throws {
        let pair = try JoinedPair(limits: JoinedPair.wide)
        pair.robot.bytestreams.inBand.connected(StreamLimits(maxBytes: 3000))
        let longest = Locked(0)
        pair.tamper = { stanza in
            if case .data(_, _, _, _, let base64) = stanza { longest.withLock { $0 = max($0, base64.count) } }
            return stanza
        }
        let ends = try pair.open()
        ends.robot.channel?.writeAndFlush(ByteBuffer(repeating: 1, count: 50_000), promise: nil)
        pair.settle()
        #expect(ends.desk.received.count == 50_000)
        let most = longest.withLock { $0 }
        #expect(most > 2700 && most + 170 <= 3000, "\(most)")
        #expect(pair.robot.bytestreams.inBandStatus.streamLimits.maxBytes == 3000)
        #expect(pair.robot.bytestreams.inBandStatus.blockSize <= 2110)
    }

    @Test func whatGotUsDisconnectedIsNotSentAgain() throws {
        let pair = try JoinedPair(limits: JoinedPair.wide)
        let ends = try pair.open()
        pair.isHeld = true
        ends.robot.channel?.writeAndFlush(ByteBuffer(repeating: 1, count: 50_000), promise: nil)
        pair.settle()
        let inBand = pair.robot.bytestreams.inBand
        let before = inBand.budget.bytesUnderWay
        #expect(before > 20_000)
        inBand.connectionEnded("policy-violation")
        pair.robot.bytestreams.disconnected(XMPPError(.connectionLost, "gone"))
        #expect(inBand.bound.block == 2048)
        #expect(inBand.bound.budget == before / 2)
        pair.desk.bytestreams.disconnected(XMPPError(.connectionLost, "gone"))
        pair.settle()
        pair.isHeld = false
        pair.settle()
        let offered = Locked("")
        pair.tamper = { stanza in
            if case .request(let iq) = stanza, let transport = iq.payload.child("content")?.child("transport") {
                offered.withLock { $0 = transport["block-size"] ?? "" }
            }
            return stanza
        }
        let again = try pair.open()
        #expect(offered.withLock { $0 } == "2048")
        pair.isHeld = true
        again.robot.channel?.writeAndFlush(ByteBuffer(repeating: 1, count: 50_000), promise: nil)
        pair.settle()
        #expect(inBand.budget.bytesUnderWay <= before / 2)
        pair.isHeld = false
        pair.settle()
        #expect(again.desk.received.count == 50_000)
    }

    @Test func anEndWithNothingUnderWayTeachesNothing() throws {
        let pair = try JoinedPair()
        _ = try pair.open()
        pair.robot.bytestreams.inBand.connectionEnded("policy-violation")
        #expect(pair.robot.bytestreams.inBand.bound.block == 4096)
    }

    @Test func bytesOfASlowPathWaitInTheChannelAndNoMoreThanABlockBehindIt() throws {
        let pair = try JoinedPair()
        let ends = try pair.open()
        pair.isHeld = true
        let channel = try #require(ends.robot.channel)
        while channel.isWritable { channel.writeAndFlush(ByteBuffer(repeating: 1, count: 512), promise: nil) }
        // What the start allows: 4 KiB under way, half of that in the link, half in the channel, and the write that was too much.
        let driver = pair.robot.bytestreams.inBand.streams.values.first?.driver
        #expect(driver?.link.waiting ?? .max <= 2048)
        #expect(pair.robot.bytestreams.inBand.budget.bytesUnderWay <= 4096)
        pair.isHeld = false
        pair.settle()
        #expect(channel.isWritable)
    }

    @Test func theStatusTellsWhatIsKnown() throws {
        let pair = try JoinedPair()
        let ends = try pair.open()
        var status = pair.robot.bytestreams.inBandStatus
        #expect(status.bytesPerSecondUp == nil && status.measured == nil && status.bytesUnderWay == 0)
        #expect(status.limit == 4096)
        // A server that passes two stanzas in 0.3 s, but the first at once: a block of 4 KiB and its answer at most.
        ends.robot.write("x")
        pair.settle()
        pair.mostDelivered = 2
        for _ in 0..<120 {
            while ends.robot.channel?.isWritable == true {
                ends.robot.channel?.writeAndFlush(ByteBuffer(repeating: 1, count: 1000), promise: nil)
            }
            pair.advance(by: .milliseconds(300))
        }
        status = pair.robot.bytestreams.inBandStatus
        let up = try #require(status.bytesPerSecondUp)
        #expect(up > 1000 && up < 20_000, "\(status)")
        #expect(status.measured != nil)
        #expect(status.blockSize >= 512 && status.blockSize <= 4096)
        let down = try #require(pair.desk.bytestreams.inBandStatus.bytesPerSecondDown)
        #expect(down > 1000 && down < 20_000)
    }
}
