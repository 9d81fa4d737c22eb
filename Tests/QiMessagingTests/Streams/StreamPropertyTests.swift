import Foundation
import NIOCore
@testable import QiMessaging
import QiWire
import Testing

/// Whatever two sides send, confirm, lose and resume, in whatever order: each message arrives once, whole, and in the order of its lane.
@Suite(.timeLimit(.minutes(5)))
struct StreamPropertyTests {
    /// How many runs: more by hand, as `STREAM_RUNS=1000000 swift test --filter StreamPropertyTests`.
    private static var runs: UInt64 { ProcessInfo.processInfo.environment["STREAM_RUNS"].flatMap(UInt64.init) ?? 3_000 }

    @Test func nothingIsLostAndNothingComesTwiceWhateverHappensToThePaths() throws {
        for seed in 1...Self.runs {
            do { try Self.run(seed) } catch { throw QiError(.invalid, "seed \(seed): \(error)", cause: error) }
        }
    }

    private static func run(_ seed: UInt64) throws {
        var random = SeededNumbers(seed)
        var limits = StreamStateMachine.Limits()
        limits.receiving.window = Int.random(in: 200...20_000, using: &random)
        limits.receiving.message = 100_000
        var pair = StreamPair(limits)
        try pair.attach()
        var sent: (opener: [StreamMessage], answerer: [StreamMessage]) = ([], [])
        for _ in 0..<Int.random(in: 5...80, using: &random) {
            try step(&pair, &sent, &random)
        }
        pair.opener.reads = true
        pair.answerer.reads = true
        StreamPair.take(&pair.opener)
        StreamPair.take(&pair.answerer)
        try pair.attach(meanwhile: Int.random(in: 0...500, using: &random))
        try pair.settle()
        try compare(sent.opener, pair.answerer.taken)
        try compare(sent.answerer, pair.opener.taken)
    }

    private static func step(
        _ pair: inout StreamPair, _ sent: inout (opener: [StreamMessage], answerer: [StreamMessage]), _ random: inout SeededNumbers
    ) throws {
        let byOpener = Bool.random(using: &random)
        pair.now = pair.now + .milliseconds(Int64.random(in: 0...900, using: &random))
        switch Int.random(in: 0..<14, using: &random) {
        case 0...4:
            let message = message(UInt32(sent.opener.count + sent.answerer.count), &random)
            if byOpener {
                sent.opener.append(message)
                _ = pair.opener.machine.append(message)
            } else {
                sent.answerer.append(message)
                _ = pair.answerer.machine.append(message)
            }
        case 5...7:
            let (piece, most) = (Int.random(in: 1...4000, using: &random), Int.random(in: 1...9000, using: &random))
            pair.write(fromOpener: byOpener, piece: piece, most: most)
        case 8...10: try pair.deliver(toOpener: byOpener, most: Int.random(in: 1...5000, using: &random))
        case 11: pair.cut()
        case 12: try pair.attach(meanwhile: Int.random(in: 0...3000, using: &random))
        default:
            if byOpener { pair.opener.reads.toggle() } else { pair.answerer.reads.toggle() }
            StreamPair.take(&pair.opener)
            StreamPair.take(&pair.answerer)
        }
    }

    private static func message(_ id: UInt32, _ random: inout SeededNumbers) -> StreamMessage {
        let kind: MessageKind = [.call, .post, .event, .reply, .cancel].randomElement(using: &random) ?? .call
        let bytes = Bool.random(using: &random) ? Int.random(in: 0...200, using: &random) : Int.random(in: 0...60_000, using: &random)
        return StreamSample.message(
            kind, id: id, service: UInt32.random(in: 10...12, using: &random), bytes: bytes, fill: UInt8(truncatingIfNeeded: id))
    }

    /// Each message once and whole; those of one lane in their order.
    private static func compare(_ sent: [StreamMessage], _ taken: [ByteBuffer]) throws {
        guard sent.count == taken.count else { throw QiError(.invalid, "\(sent.count) sent, \(taken.count) taken") }
        var expected: [StreamLane: [ByteBuffer]] = [:]
        for message in sent { expected[StreamLane(message.header), default: []].append(message.bytes.joined) }
        var found: [StreamLane: [ByteBuffer]] = [:]
        for message in taken { found[StreamLane(try StreamSample.header(message)), default: []].append(message) }
        guard expected == found else { throw QiError(.invalid, "a lane is out of order, or a message is not what was sent") }
    }
}
