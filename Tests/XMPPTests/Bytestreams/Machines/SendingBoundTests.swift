import NIOCore
import Testing

@testable import XMPP

@Suite struct SendingBoundTests {
    private func at(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(UInt64(seconds) * 1_000_000_000) }
    private let least = SendingBound(block: 512, budget: 1700)
    private let use = SendingBound.Use(largestBlock: 4096, mostUnderWay: 20_000, began: .uptimeNanoseconds(0))

    @Test func aPolicyViolationHalvesWhatWasSent() {
        var bound = SendingBound(block: 4096, budget: .max)
        check(bound.ended("policy-violation", after: use, least: least, at: at(100)), true)
        #expect(bound.block == 2048 && bound.budget == 10_000)
        // What was smaller than the bound counts, not the bound.
        let smaller = SendingBound.Use(largestBlock: 1400, mostUnderWay: 4000, began: at(0))
        check(bound.ended("policy-violation", after: smaller, least: least, at: at(100)), true)
        #expect(bound.block == 700 && bound.budget == 2000)
        check(bound.ended("policy-violation", after: smaller, least: least, at: at(100)), true)
        check(bound.ended("policy-violation", after: smaller, least: least, at: at(100)), false)
        #expect(bound.block == 512 && bound.budget == 1700)
    }

    @Test(arguments: ["conflict", "system-shutdown", "see-other-host", "undefined-condition"])
    func otherEndsTeachNothing(condition: String) {
        var bound = SendingBound(block: 4096, budget: .max)
        check(bound.ended(condition, after: use, least: least, at: at(1)), false)
        #expect(bound.block == 4096)
    }

    @Test func aLossWithoutAWordIsBelievedTheSecondTimeInARow() {
        var bound = SendingBound(block: 4096, budget: .max)
        check(bound.ended(nil, after: use, least: least, at: at(9)), false)
        // A connection that carried blocks for long clears the suspicion.
        check(bound.ended(nil, after: use, least: least, at: at(10)), false)
        check(bound.ended(nil, after: use, least: least, at: at(9)), false)
        check(bound.ended(nil, after: use, least: least, at: at(9)), true)
        #expect(bound.block == 2048)
    }

    @Test func accountsAreRememberedApartAndNotWithoutEnd() throws {
        let bounds = SendingBounds()
        let robot = try #require(JID("robot@mesh.test"))
        bounds[robot] = SendingBound(block: 1000, budget: 5000)
        #expect(bounds[robot]?.block == 1000)
        #expect(bounds[try #require(JID("desk@mesh.test"))] == nil)
        for index in 0..<1000 { bounds[try #require(JID("d\(index)@mesh.test"))] = SendingBound(block: index, budget: 1) }
        #expect(bounds[try #require(JID("d999@mesh.test"))]?.block == 999)
        #expect(bounds[robot] == nil)
    }
}
