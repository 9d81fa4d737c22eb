import NIOCore
import NIOEmbedded
@testable import QiMessaging
import QiWire
import Testing

/// What a device gets that does not keep to the rules of streams, through sockets to a directory, and that another device beside it goes on
/// undisturbed.
@Suite(.serialized, .timeLimit(.minutes(8)))
struct StreamHostileTests {
    /// What is sent once the stream has begun, and whether that ends it.
    struct Attack: CustomStringConvertible, Sendable {
        let description: String
        var isLoggedIn = false
        let ends: Bool
        let bytes: @Sendable () -> ByteBuffer

        init(_ description: String, isLoggedIn: Bool = false, ends: Bool, _ frames: @escaping @Sendable () -> [StreamFrame]) {
            self.description = description
            self.isLoggedIn = isLoggedIn
            self.ends = ends
            bytes = {
                var bytes = ByteBuffer()
                for frame in frames() { StreamFrameCoding.write(frame, to: &bytes) }
                return bytes
            }
        }

        init(_ description: String, raw: [UInt8]) {
            self.description = description
            ends = true
            bytes = { ByteBuffer(bytes: raw) }
        }
    }

    private static func piece(_ count: Int) -> StreamBytes { StreamBytes(ByteBuffer(repeating: 0, count: count)) }

    private static func begin(_ number: UInt32, _ length: UInt32, _ count: Int = 10) -> StreamFrame {
        .numbered(.begin(number, length: length, piece(count)))
    }

    private static let welcome = StreamFrame.welcome(StreamWelcome(stream: StreamAttacker.id, received: 0, first: 0, window: 1))

    static let attacks: [Attack] = [
        Attack("a message of 4 GiB", ends: true) { [begin(1, .max)] },
        Attack("a message of 100 kB before the login", ends: true) { [begin(1, 100_000)] },
        Attack("a message of 51 MB after it", isLoggedIn: true, ends: true) { [begin(1, 51_000_000)] },
        Attack("many beginnings before the login", ends: true) { (0..<9).map { begin($0, 60_000, 10_000) } },
        Attack("many beginnings after it", isLoggedIn: true, ends: true) { (0...1024).map { begin($0, 60_000) } },
        Attack("one message begun twice", ends: true) { [begin(1, 100), begin(1, 100)] },
        Attack("a message that goes on and has not begun", ends: true) { [.numbered(.more(7, piece(1)))] },
        Attack("a message longer than announced", ends: true) { [begin(1, 12), .numbered(.more(1, piece(3)))] },
        Attack("a withdrawal of nothing", ends: true) { [.numbered(.drop(7))] },
        Attack("a whole that is no message", ends: true) { [.numbered(.whole(piece(100)))] },
        Attack("a whole that is half a message", ends: true) {
            [.numbered(.whole(StreamSample.message(.call, bytes: 100).bytes.first(64)))]
        },
        Attack("frames behind the end", ends: true) { [.numbered(.end("")), begin(1, 100)] },
        Attack("an end in the middle of a message", ends: true) { [begin(1, 100), .numbered(.end("bye"))] },
        Attack("a confirmation of the future", ends: true) { [.confirm(1000)] },
        Attack("a confirmation of less than before", isLoggedIn: true, ends: true) { [.confirm(1), .confirm(0)] },
        Attack("a second hello", ends: true) {
            [.hello(StreamHello(purpose: .open, stream: StreamAttacker.id, instance: 1, received: 0, window: 1))]
        },
        Attack("a welcome", ends: true) { [welcome] },
        Attack("a frame of an unknown kind", raw: [0x30, 0, 0, 0]),
        Attack("a frame of 16 MB", raw: [0x10, 0xFF, 0xFF, 0xFF]),
        Attack("a beginning of length 0", raw: [0x11, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0, 7]),
        Attack("a piece without a byte", raw: [0x12, 0, 0, 4, 0, 0, 0, 1]),
        Attack("frames without a body", raw: [0x13, 0, 0, 0, 0x20, 0, 0, 0]),
        // What is only tiresome ends nothing.
        Attack("30 000 pings", ends: false) { (0..<30_000).map { .ping($0) } },
        Attack("30 000 confirmations of nothing", ends: false) { Array(repeating: .confirm(0), count: 30_000) },
        Attack("30 000 answers that were not asked for", ends: false) { (0..<30_000).map { .pong($0 + 99) } },
        Attack("10 000 beginnings that are withdrawn", ends: false) { (0..<5000).flatMap { [begin($0, 100), .numbered(.drop($0))] } },
        Attack("a message in 15 000 pieces of a byte", ends: false) {
            [begin(1, 60_000)] + Array(repeating: .numbered(.more(1, piece(1))), count: 15_000)
        },
        Attack("a number that is used again", isLoggedIn: true, ends: false) {
            let bytes = StreamSample.message(.cancel, id: 99, bytes: 100).bytes
            return (0..<100).flatMap { _ in [.numbered(.begin(1, length: 128, bytes.first(64))), .numbered(.more(1, bytes.last(64)))] }
        },
    ]

    @Test(arguments: attacks) func aStreamEndsByAFaultAndNoOther(_ attack: Attack) async throws {
        try await StreamDoors.with { doors in
            let attacker = try await StreamAttacker(doors)
            guard case .welcome = await attacker.greet() else { throw Unexpected("no welcome") }
            if attack.isLoggedIn { try await attacker.logIn() }
            attacker.send(attack.bytes())
            try await doors.expectUndisturbed()
            let isAnswered = await attacker.isAnswered()
            #expect(isAnswered != attack.ends)
            let held = try await doors.streams(of: "bad") { $0.machine.receiver.heldBytes }
            #expect(held.count == (attack.ends ? 0 : 1) && held.allSatisfy { $0 <= Capabilities.maximumBytes })
            try await attacker.close()
        }
    }

    @Test func moreThanTheWindowIsNotSentToAPeerThatConfirmsNothing() async throws {
        try await StreamDoors.with { doors in
            let attacker = try await StreamAttacker(doors)
            _ = await attacker.greet(window: .max)
            try await attacker.logIn()
            for id in UInt32(2)..<102 { attacker.send([StreamAttacker.whole(doors.call(id, bytes: 60_000))]) }
            let isAnswered = await attacker.isAnswered()
            try await doors.expectUndisturbed()
            let kept = try await doors.streams(of: "bad") { ($0.machine.sender.keptBytes, $0.machine.sender.queuedBytes) }
            // The window of ours that is least, and one frame; what waits is what the calls asked for, or less.
            #expect(isAnswered && kept.count == 1)
            #expect(kept.allSatisfy { $0.0 <= (256 << 10) + 70_000 && $0.1 <= 6_100_000 }, "\(kept)")
            try await attacker.close()
        }
    }

    @Test func aPeerThatTakesNothingGetsNothingUntilItDoes() async throws {
        try await StreamDoors.with { doors in
            let first = try await StreamAttacker(doors)
            _ = await first.greet(window: 0)
            var payload = ByteBuffer()
            try Capabilities.ours.write(to: &payload)
            first.send([StreamAttacker.whole(Message(kind: .call, id: 1, address: .authenticate, payload: payload))])
            #expect(await first.isAnswered())
            try await doors.expectUndisturbed()
            let sent = try await doors.streams(of: "bad") { ($0.machine.sender.keptBytes, $0.machine.sender.numbered) }
            #expect(sent.count == 1 && sent.allSatisfy { $0.0 == 0 && $0.1 == 0 }, "\(sent)")
            let second = try await StreamAttacker(doors)
            guard case .welcome(let welcome) = await second.greet(.resume) else { throw Unexpected("no welcome") }
            let reply = await second.first { if case .numbered(.whole) = $0 { true } else { nil } }
            #expect(welcome.received == 1 && reply == true)
            try await second.close()
        }
    }

    @Test func aFloodOfHellosGetsFourStreams() async throws {
        try await StreamDoors.with { doors in
            var attackers: [StreamAttacker] = []
            var answers: [String: Int] = [:]
            for number in UInt64(0)..<100 {
                let attacker = try await StreamAttacker(doors)
                switch await attacker.greet(.open, StreamID(high: 1, low: number)) {
                case .welcome: answers["welcome", default: 0] += 1
                case .refused(let refusal) where refusal.reason == .full: answers["full", default: 0] += 1
                default: answers["other", default: 0] += 1
                }
                attackers.append(attacker)
            }
            #expect(answers == ["welcome": 4, "full": 96])
            try await doors.expectUndisturbed()
            for attacker in attackers { try await attacker.close() }
        }
    }

    @Test func aStreamOfAnotherDeviceIsNotResumedWhateverIsClaimed() async throws {
        try await StreamDoors.with { doors in
            let ids = try await doors.streams(of: "good") { $0.id }
            let id = try #require(ids.first)
            for received in [0, 1, UInt64.max] {
                let attacker = try await StreamAttacker(doors)
                let answer = await attacker.greet(.resume, id, received: received)
                guard case .refused(let refusal) = answer else { throw Unexpected("no refusal") }
                #expect(refusal.reason == .unknown)
                let thief = try await StreamAttacker(doors)
                guard case .refused(let denial) = await thief.greet(.open, id, received: received) else { throw Unexpected("no refusal") }
                #expect(denial.reason == .denied)
                try await doors.expectUndisturbed()
            }
        }
    }

    @Test func offsetsOfThePastAreAnsweredByWhatIsKeptAndOfTheFutureByARefusal() async throws {
        try await StreamDoors.with { doors in
            let first = try await StreamAttacker(doors)
            _ = await first.greet()
            try await first.logIn()
            for _ in 0..<20 {
                let again = try await StreamAttacker(doors)
                guard case .welcome(let welcome) = await again.greet(.resume, received: 0) else { throw Unexpected("no welcome") }
                #expect(welcome.received == 1 && welcome.first == 0)
                let reply = await again.first { if case .numbered(.whole) = $0 { true } else { nil } }
                #expect(reply == true)
                let liar = try await StreamAttacker(doors)
                guard case .refused(let refusal) = await liar.greet(.resume, received: 2) else { throw Unexpected("no refusal") }
                #expect(refusal.reason == .denied)
                // The refusal has harmed nothing.
                #expect(await again.isAnswered())
            }
            try await doors.expectUndisturbed()
        }
    }

    // MARK: The answering side

    /// What a device answers to our hello that is no device, or does not keep to the rules.
    @Test(arguments: [
        .welcome(StreamWelcome(stream: id, received: 0, first: 1, window: 1)),
        .welcome(StreamWelcome(stream: id, received: 1, first: 0, window: 1)),
        .welcome(StreamWelcome(stream: id, received: .max, first: .max, window: .max)),
        .welcome(StreamWelcome(stream: StreamID(high: 0, low: 0), received: 0, first: 0, window: 1)),
        .refused(StreamRefusal(reason: .unknown, text: "")),
        .hello(StreamHello(purpose: .open, stream: id, instance: 1, received: 0, window: 1)),
        .ping(1), .numbered(.end("")),
    ] as [StreamFrame])
    func anAnswerThatCannotBeIsNoPathAndHarmsNoOtherStream(_ answer: StreamFrame) throws {
        let loop = EmbeddedEventLoop()
        let (good, _) = try Self.opened(loop, .welcome(StreamWelcome(stream: Self.id, received: 0, first: 0, window: 1000)))
        let (bad, result) = try Self.opened(loop, answer)
        #expect(throws: QiError.self) { try result?.get() }
        #expect(bad.path == nil && !bad.machine.isAttached)
        #expect(good.path?.channel.isActive == true && good.isActive && !good.isOver)
    }

    private static let id = StreamID(high: 4, low: 4)

    /// A stream of ours whose hello is answered with that.
    private static func opened(_ loop: EmbeddedEventLoop, _ answer: StreamFrame) throws -> (StreamChannel, Result<Void, QiError>?) {
        let stream = StreamChannel(id: id, limits: StreamStateMachine.Limits(), on: loop, logger: quiet)
        var result: Result<Void, QiError>?
        let opener = StreamOpener(stream, .open, instance: 1, path: { StreamPath($0, .tcp) }) { result = $0 }
        let channel = EmbeddedChannel(handler: StreamPathHandler(opener), loop: loop)
        try channel.connect(to: SocketAddress(unixDomainSocketPath: "/test")).wait()
        var bytes = ByteBuffer()
        StreamFrameCoding.write(answer, to: &bytes)
        try channel.writeInbound(bytes)
        loop.run()
        return (stream, result)
    }
}

private struct Unexpected: Error {
    let what: String
    init(_ what: String) { self.what = what }
}

extension StreamBytes {
    /// The first bytes, or the last ones.
    fileprivate func first(_ count: Int) -> StreamBytes {
        var copy = self
        return copy.take(count)
    }

    fileprivate func last(_ count: Int) -> StreamBytes {
        var copy = self
        _ = copy.take(self.count - count)
        return copy
    }
}
