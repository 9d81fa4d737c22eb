import NIOCore
import Testing

@testable import QiMessaging

/// Which instance answers a proxy that has none yet.
struct InstanceChoiceTests {
    private typealias Candidate = InstanceChoice.Candidate

    private func candidate(_ address: String, _ calls: Int, _ milliseconds: Int64?, _ proxies: Int) -> Candidate {
        Candidate(address: address, calls: calls, roundTrip: milliseconds.map { .milliseconds($0) }, proxies: proxies)
    }

    @Test func noCandidateIsNoChoice() { #expect(InstanceChoice.pick([]) == nil) }

    @Test func fewestCallsInFlightComeBeforeTheRoundTrip() {
        #expect(InstanceChoice.pick([candidate("a", 2, 1, 0), candidate("b", 1, 900, 50)])?.address == "b")
    }

    @Test func theRoundTripComesBeforeTheProxies() {
        #expect(InstanceChoice.pick([candidate("a", 1, 80, 0), candidate("b", 1, 20, 50)])?.address == "b")
    }

    @Test(arguments: [(0, 3), (4, 7), (40, 60)]) func roundTripsOfOneMagnitudeLeaveTheChoiceToTheProxies(_ one: Int64, _ other: Int64) {
        #expect(InstanceChoice.pick([candidate("a", 0, one, 2), candidate("b", 0, other, 1)])?.address == "b")
    }

    @Test func anInstanceThatWasNeverMeasuredComesLast() {
        #expect(InstanceChoice.pick([candidate("a", 0, nil, 0), candidate("b", 0, 5000, 9)])?.address == "b")
    }

    /// No other candidate is better in everything, and the order in which they are given does not matter.
    @Test func theChoiceIsNeverWorseInAllAndDoesNotDependOnTheOrder() throws {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<500 {
            let candidates = (0..<Int.random(in: 1...8, using: &generator)).map { index in
                candidate("\(index)", .random(in: 0...3, using: &generator), Bool.random() ? .random(in: 0...300, using: &generator) : nil, .random(in: 0...3))
            }
            let choice = try #require(InstanceChoice.pick(candidates))
            #expect(InstanceChoice.pick(candidates.shuffled()) == choice)
            #expect(candidates.allSatisfy { $0.calls >= choice.calls })
            for other in candidates where other.calls == choice.calls && other.proxies < choice.proxies {
                let (mine, theirs) = (choice.roundTrip ?? .hours(1), other.roundTrip ?? .hours(1))
                #expect(mine < theirs, "\(choice) instead of \(other)")
            }
        }
    }

    /// What the demand is about: many proxies that all call are spread evenly.
    @Test func aHundredCallersAreSharedEvenly() throws {
        var calls = ["a": 0, "b": 0, "c": 0]
        for _ in 0..<99 {
            let choice = try #require(InstanceChoice.pick(calls.map { candidate($0.key, $0.value, 10, $0.value) }))
            calls[choice.address, default: 0] += 1
        }
        #expect(calls == ["a": 33, "b": 33, "c": 33])
    }
}
