import NIOCore
import Testing

@testable import XMPP

/// A contact that sends whatever comes to its mind, in any order, at any time.
@Suite struct BytestreamDisorderTests {
    /// A small generator whose sequence the seed decides (splitmix64).
    private struct Seeded: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var value = state
            value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
            value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
            return value ^ value >> 31
        }
    }

    private static let sids = ["s0", "s1", "s2", "s3"]
    private static let actions = [
        "session-initiate", "session-initiate", "session-initiate", "session-accept", "session-terminate", "session-info",
        "transport-replace", "transport-info", "content-add", "content-remove", "nonsense",
    ]

    private static func stanza(_ random: inout Seeded, _ sequences: inout [String: Int]) -> Element {
        let sid = sids.randomElement(using: &random) ?? "s0"
        switch Int.random(in: 0..<12, using: &random) {
        case 0..<3:
            var transport = BytestreamRefusalTests.transport
            transport["sid"] = sid
            let action = actions.randomElement(using: &random)
            let contents = Int.random(in: 0..<8, using: &random) == 0 ? [] : [JoinedPair.application, transport]
            return BytestreamRefusalTests.jingle(action, sid: "j" + sid, [BytestreamRefusalTests.content(contents)])
        case 3..<5:
            sequences[sid] = 0
            return BytestreamRefusalTests.open(sid: sid)
        case 5: return Bool.random(using: &random) ? IBBOpen.close(sid: sid) : Element("open", namespace: Namespaces.ibb)
        case 6: return BytestreamRefusalTests.data(sid: sid, sequence: "\(UInt16.random(in: 0...3, using: &random))", "AAA")
        default:
            let sequence = sequences[sid, default: 0]
            sequences[sid] = sequence + 1
            return BytestreamRefusalTests.data(sid: sid, sequence: "\(sequence)")
        }
    }

    /// Every request is answered exactly once, and nothing is left behind.
    @Test(arguments: UInt64(0)..<40)
    func everyRequestIsAnsweredOnce(_ seed: UInt64) throws {
        var random = Seeded(state: seed)
        var sequences: [String: Int] = [:]
        let pair = try JoinedPair()
        pair.isRobotScripted = true
        pair.desk.bytestreams.jingle.setHandler(applicationNamespace: JoinedPair.namespace, on: pair.desk.loop) { _ in
            seed % 4 == 3 ? .decline(reason: "no") : .accept { Recorder(echoes: seed % 2 == 0).install(on: $0) }
        }
        var answers: [String: Int] = [:]
        pair.tamper = { stanza in
            switch stanza {
            case .result(pair.desk.jid, let id, _), .error(pair.desk.jid, let id, _): answers[id, default: 0] += 1
            default: break
            }
            return stanza
        }
        var requests = 0
        for _ in 0..<400 {
            let payload = Self.stanza(&random, &sequences)
            requests += 1
            let kind: IQRequest.Kind = Int.random(in: 0..<50, using: &random) == 0 ? .get : .set
            let id = "x\(requests)"
            pair.desk.bytestreams.handle(
                .request(IQRequest(id: id, from: pair.robot.jid, kind: kind, payload: payload)), at: pair.desk.sink)
            if Int.random(in: 0..<3, using: &random) == 0 { pair.settle() }
            if Int.random(in: 0..<60, using: &random) == 0 { pair.advance(by: .seconds(10)) }
        }
        pair.settle()
        pair.desk.bytestreams.peerUnavailable(pair.robot.jid)
        pair.settle()
        #expect(answers.keys.filter { $0.hasPrefix("x") }.count == requests)
        #expect(answers.allSatisfy { !$0.key.hasPrefix("x") || $0.value == 1 })
        #expect(pair.desk.bytestreams.jingle.sessions.isEmpty)
        #expect(pair.desk.bytestreams.jingle.sessionsByID.isEmpty)
        #expect(pair.desk.bytestreams.inBand.streamsByID.isEmpty)
        #expect(pair.desk.bytestreams.inBand.turns.isEmpty)
        #expect(pair.desk.bytestreams.inBand.budget.bytesUnderWay == 0)
        #expect(pair.desk.bytestreams.jingle.remembered.count <= JingleSessions.mostRemembered)
    }
}
