import NIOCore
import Testing

@testable import XMPP

/// Who gets a place for a bytestream when all are taken.
@Suite struct BytestreamPlacesTests {
    /// Desk with four places in all and three per contact; an offer of an account is made by ``offer(_:_:)``.
    private static func pair() throws -> JoinedPair {
        var limits = BytestreamLimits()
        (limits.streams, limits.streamsPerContact) = (4, 3)
        let pair = try JoinedPair(limits: limits)
        pair.acceptAtDesk(Recorder())
        return pair
    }

    private static func offer(_ account: String, _ number: Int, to pair: JoinedPair) throws {
        let transport = Element(
            "transport", namespace: Namespaces.jingleIBB, attributes: ["block-size": "4096", "sid": "s\(number)"])
        let payload = BytestreamRefusalTests.jingle(
            "session-initiate", sid: "j\(number)", [BytestreamRefusalTests.content([JoinedPair.application, transport])])
        let from = try #require(JID("\(account)@mesh.test/r"))
        #expect(pair.desk.bytestreams.received(IQRequest(id: "q\(number)", from: from, kind: .set, payload: payload)))
        pair.settle()
    }

    private static func held(_ pair: JoinedPair) -> [String: [String]] {
        Dictionary(grouping: pair.desk.bytestreams.jingle.sessions.values, by: { $0.peer.node ?? "" }).mapValues { $0.map(\.sid).sorted() }
    }

    @Test func aNewcomerGetsTheIdlestPlaceOfTheLargestHolder() throws {
        let pair = try Self.pair()
        var ends: [String] = []
        pair.tamper = { stanza in
            if case .request(let iq) = stanza, iq.payload["action"] == "session-terminate" {
                ends.append(iq.payload.child("reason")?.child("text")?.text ?? "none")
            }
            return stanza
        }
        for number in 0..<3 {
            try Self.offer("greedy", number, to: pair)
            pair.advance(by: .milliseconds(10))
        }
        try Self.offer("modest", 3, to: pair)
        #expect(Self.held(pair) == ["greedy": ["j0", "j1", "j2"], "modest": ["j3"]])
        try Self.offer("newcomer", 4, to: pair)
        #expect(Self.held(pair) == ["greedy": ["j1", "j2"], "modest": ["j3"], "newcomer": ["j4"]])
        // The one that loses it is told why, and so is whoever watches.
        #expect(ends == ["all 4 places for bytestreams are taken, and greedy@mesh.test held the most"])
        #expect(pair.desk.sink.displacements == ["greedy@mesh.test/r for newcomer@mesh.test/r"])
    }

    @Test func nobodyGetsMoreThanTheLargestHolderHas() throws {
        let pair = try Self.pair()
        for (number, account) in ["a", "a", "b", "b"].enumerated() { try Self.offer(account, number, to: pair) }
        // With it the newcomer would hold as many as each of them, or more.
        try Self.offer("a", 4, to: pair)
        #expect(Self.held(pair) == ["a": ["j0", "j1"], "b": ["j2", "j3"]])
        try Self.offer("c", 5, to: pair)
        #expect(Self.held(pair).mapValues(\.count) == ["a": 1, "b": 2, "c": 1])
        try Self.offer("c", 6, to: pair)
        #expect(Self.held(pair).mapValues(\.count) == ["a": 1, "b": 2, "c": 1])
    }

    @Test func anOfferThatIsTurnedDownTakesNoPlace() throws {
        let pair = try Self.pair()
        for number in 0..<3 { try Self.offer("greedy", number, to: pair) }
        try Self.offer("modest", 3, to: pair)
        let from = try #require(JID("newcomer@mesh.test/r"))
        let unknown = Element("description", namespace: "urn:unknown")
        let payload = BytestreamRefusalTests.jingle(
            "session-initiate", sid: "j9", [BytestreamRefusalTests.content([unknown, BytestreamRefusalTests.transport])])
        #expect(pair.desk.bytestreams.received(IQRequest(id: "q9", from: from, kind: .set, payload: payload)))
        pair.settle()
        #expect(Self.held(pair).mapValues(\.count) == ["greedy": 3, "modest": 1])
    }
}
