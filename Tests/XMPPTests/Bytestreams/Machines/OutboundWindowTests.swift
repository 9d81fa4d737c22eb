import NIOCore
import Testing

@testable import XMPP

@Suite struct OutboundWindowTests {
    /// Sends as much as the window allows, then acknowledges it all one round trip later; several times.
    private struct Path {
        var window: OutboundWindow
        var now = NIODeadline.uptimeNanoseconds(0)
        var sequence: UInt16 = 0

        mutating func rounds(_ count: Int, roundTrip: TimeAmount) {
            for _ in 0..<count {
                var sent: [UInt16] = []
                while window.hasRoom {
                    window.sent(sequence: sequence, at: now)
                    sent.append(sequence)
                    sequence &+= 1
                }
                now = now + roundTrip
                for one in sent { check(window.acknowledged(sequence: one, at: now), true) }
            }
        }
    }

    @Test func holdsBackWhatDoesNotFit() {
        var window = OutboundWindow(initial: 2, maximum: 4)
        #expect(window.hasRoom)
        window.sent(sequence: 65535, at: .uptimeNanoseconds(0))
        window.sent(sequence: 0, at: .uptimeNanoseconds(0))
        #expect(!window.hasRoom)
        #expect(window.inFlight == 2)
        check(window.acknowledged(sequence: 0, at: .uptimeNanoseconds(1)), true)
        #expect(window.hasRoom)
        check(window.acknowledged(sequence: 0, at: .uptimeNanoseconds(2)), false)
        check(window.acknowledged(sequence: 7, at: .uptimeNanoseconds(2)), false)
        #expect(window.inFlight == 1)
    }

    @Test func growsWhileAnswersComeAsFastAsEver() {
        var path = Path(window: OutboundWindow(initial: 4, maximum: 16))
        path.rounds(1, roundTrip: .milliseconds(50))
        #expect(path.window.size == 5)
        path.rounds(30, roundTrip: .milliseconds(50))
        #expect(path.window.size == 16)
    }

    @Test func doesNotGrowWithoutNeed() {
        var window = OutboundWindow(initial: 4, maximum: 16)
        for sequence in UInt16(0)..<100 {
            window.sent(sequence: sequence, at: .uptimeNanoseconds(UInt64(sequence) * 1_000_000))
            check(window.acknowledged(sequence: sequence, at: .uptimeNanoseconds(UInt64(sequence) * 1_000_000 + 500_000)), true)
        }
        #expect(window.size == 4)
    }

    @Test func shrinksWhenAnswersComeLate() {
        var path = Path(window: OutboundWindow(initial: 4, maximum: 16))
        path.rounds(30, roundTrip: .milliseconds(50))
        path.rounds(1, roundTrip: .milliseconds(150))
        #expect(path.window.size == 12)
        path.rounds(20, roundTrip: .milliseconds(150))
        #expect(path.window.size == 1)
        #expect(path.window.hasRoom)
    }

    @Test func keepsItsSizeWhenAnswersComeALittleLater() {
        var path = Path(window: OutboundWindow(initial: 4, maximum: 16))
        path.rounds(5, roundTrip: .milliseconds(50))
        let size = path.window.size
        path.rounds(20, roundTrip: .milliseconds(100))
        #expect(path.window.size == size)
    }

    @Test func aPathThatBecameLongerIsBelievedInTheEnd() {
        var path = Path(window: OutboundWindow(initial: 4, maximum: 16))
        path.rounds(5, roundTrip: .milliseconds(20))
        path.rounds(20, roundTrip: .milliseconds(200))
        #expect(path.window.size == 1)
        path.rounds(600, roundTrip: .milliseconds(200))
        #expect(path.window.size == 16)
    }

    @Test func sizesOutOfRangeAreBroughtIn() {
        #expect(OutboundWindow(initial: 0, maximum: 0).size == 1)
        #expect(OutboundWindow(initial: 100, maximum: 16).size == 16)
    }
}
