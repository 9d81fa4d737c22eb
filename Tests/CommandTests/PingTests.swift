import ArgumentParser
import Testing

@testable import QiMeshCLI

@Suite("What became of pings")
struct PingTallyTests {
    private func tally(_ roundTrips: [Double?]) -> PingTally {
        var tally = PingTally()
        for roundTrip in roundTrips { tally.ended(roundTrip) }
        return tally
    }

    @Test(
        arguments: [
            ([60.2, nil, 63, 61.5], "4 sent, 3 answered, 25 % lost, round trip 60 ms / 62 ms / 63 ms (least / mean / most)"),
            ([0.44], "1 sent, 1 answered, 0 % lost, round trip 0.4 ms / 0.4 ms / 0.4 ms (least / mean / most)"),
            ([nil, nil], "2 sent, 0 answered, 100 % lost"), ([], "0 sent, 0 answered, 0 % lost"),
        ] as [([Double?], String)])
    func text(_ roundTrips: [Double?], _ expected: String) { #expect(tally(roundTrips).text == expected) }

    @Test func json() {
        #expect(
            tally([1, nil, 2.0004]).json.text == #"{"ok":true,"sent":3,"answered":2,"least":1.0,"mean":1.5,"most":2.0}"#)
        #expect(tally([nil]).json.text == #"{"ok":false,"sent":1,"answered":0,"least":null,"mean":null,"most":null}"#)
    }
}

@Suite("The command line of ping")
struct PingParsingTests {
    @Test func whatIsTyped() throws {
        let ping = try #require(try QiMeshCommand.parseAsRoot(["ping", "pepper", "-c", "3", "-i", "200ms", "--timeout", "2s"]) as? Ping)
        #expect(ping.device == "pepper" && ping.count == 3 && ping.interval.duration == .milliseconds(200))
        #expect(ping.node.timeout?.duration == .seconds(2))
    }

    @Test(arguments: [["ping"], ["ping", "p", "-c", "0"], ["ping", "p", "-i", "100ms"], ["ping", "p", "-i", "0"]])
    func whatIsRefused(_ words: [String]) { #expect(throws: (any Error).self) { try QiMeshCommand.parseAsRoot(words) } }
}
