import DequeModule
import NIOCore
import QiWire

@testable import QiMessaging

/// Two honest sides of a device stream on paths that die, are replaced and go silent, while both send, withdraw and end: each message that
/// was not withdrawn arrives once, whole, and in its order; what is kept stays bounded; no side accuses the other.
///
/// Input: the bounds in three bytes, then steps: a byte that says which, then what it needs. A seed gives the same by its numbers.
enum ExchangeFuzz {
    static func run(_ bytes: [UInt8]) throws {
        var exchange = try Exchange(Choices(bytes))
        try exchange.run()
    }

    static func run(seed: UInt64) throws {
        do {
            var exchange = try Exchange(Choices(seed: seed))
            try exchange.run()
        } catch {
            throw FuzzFinding("seed \(seed): \(error)")
        }
    }
}

/// What happens next: by the bytes of an input, or by the numbers of a seed.
private struct Choices {
    private var input: FuzzInput?
    private var numbers = SeededNumbers(0)
    private var steps = 0

    init(_ bytes: [UInt8]) { input = FuzzInput(bytes) }

    init(seed: UInt64) {
        numbers = SeededNumbers(seed)
        steps = Int.random(in: 5...80, using: &numbers)
    }

    /// Whether another step follows.
    mutating func goesOn() -> Bool {
        if let input { return !input.isEmpty }
        steps -= 1
        return steps >= 0
    }

    mutating func within(_ range: ClosedRange<Int>) -> Int {
        guard input != nil else { return Int.random(in: range, using: &numbers) }
        let value = range.count <= 256 ? Int(input?.byte() ?? 0) : input?.number16() ?? 0
        return range.lowerBound + value % range.count
    }
}

/// One run.
private struct Exchange {
    private struct Sent {
        let message: StreamMessage
        var isWithdrawn = false
    }

    private struct Way {
        var sent: [Sent] = []
        var hasEnded = false
    }

    private let limits: StreamStateMachine.Limits
    private var choices: Choices
    private var pair: StreamPair
    private var fromOpener = Way()
    private var fromAnswerer = Way()
    /// Since when there is no path; nil: there is one.
    private var waitingSince: NIODeadline?
    private var hasExpired = false

    init(_ choices: Choices) throws {
        self.choices = choices
        var limits = StreamStateMachine.Limits()
        limits.receiving.window = self.choices.within(200...20_000)
        limits.receiving.message = 100_000
        self.limits = limits
        pair = StreamPair(limits)
        try pair.attach()
    }

    mutating func run() throws {
        while !hasExpired, choices.goesOn() {
            try step()
            try check(pair.opener.machine)
            try check(pair.answerer.machine)
        }
        pair.opener.reads = true
        pair.answerer.reads = true
        StreamPair.take(&pair.opener)
        StreamPair.take(&pair.answerer)
        if !hasExpired {
            try pair.attach(meanwhile: choices.within(0...500))
            try pair.settle()
            let (ofOpener, ofAnswerer) = (pair.answerer.machine.receiver.ended, pair.opener.machine.receiver.ended)
            try FuzzFinding.expect((ofOpener != nil) == fromOpener.hasEnded, "the answerer does not know the end")
            try FuzzFinding.expect((ofAnswerer != nil) == fromAnswerer.hasEnded, "the opener does not know the end")
            try FuzzFinding.expect(pair.opener.machine.sender.queuedBytes == 0, "bytes are counted that are not there")
            try FuzzFinding.expect(pair.answerer.machine.receiver.heldBytes == 0, "bytes are held behind the end")
        }
        try compare(fromOpener.sent, pair.answerer.taken)
        try compare(fromAnswerer.sent, pair.opener.taken)
    }

    // MARK: Steps

    private mutating func step() throws {
        let code = choices.within(0...41)
        let byOpener = code & 1 == 0
        pair.now = pair.now + .milliseconds(Int64(choices.within(0...900)))
        switch code >> 1 {
        case 0...5: append(byOpener)
        case 6...8: pair.write(fromOpener: byOpener, piece: choices.within(1...4000), most: choices.within(1...9000))
        case 9...11: try pair.deliver(toOpener: byOpener, most: choices.within(1...5000))
        case 12: lose()
        case 13, 14:
            try pair.attach(meanwhile: choices.within(0...3000))
            waitingSince = nil
        case 15:
            try pair.attachInVain(piece: choices.within(1...4000), most: choices.within(1...9000))
            waitingSince = waitingSince ?? pair.now
        case 16: try withdraw(byOpener)
        case 17: try pass()
        case 18: ask(byOpener)
        case 19: try lie(byOpener)
        default: change(byOpener)
        }
    }

    private mutating func lose() {
        pair.cut()
        waitingSince = waitingSince ?? pair.now
    }

    private mutating func append(_ byOpener: Bool) {
        guard !(byOpener ? fromOpener : fromAnswerer).hasEnded else { return }
        let message = message(UInt32(fromOpener.sent.count + fromAnswerer.sent.count))
        if byOpener {
            fromOpener.sent.append(Sent(message: message))
            _ = pair.opener.machine.append(message)
        } else {
            fromAnswerer.sent.append(Sent(message: message))
            _ = pair.answerer.machine.append(message)
        }
    }

    private mutating func message(_ id: UInt32) -> StreamMessage {
        let kinds: [MessageKind] = [.call, .call, .post, .event, .reply, .reply, .cancel]
        let most = [40, 200, 3000, 60_000][choices.within(0...3)]
        let kind = kinds[choices.within(0...6)]
        let isEvent = kind == .event
        let action =
            switch kind {
            case .event: UInt32(choices.within(100...101))
            case .reply where choices.within(0...2) == 0: WellKnownActions.registerEvent
            default: UInt32(100)
            }
        return StreamSample.message(
            kind, id: id, service: UInt32(choices.within(10...12)), action: action,
            bytes: choices.within(0...most), fill: UInt8(truncatingIfNeeded: id),
            flags: isEvent && choices.within(0...1) == 1 ? .latest : [], client: UInt64(choices.within(0...2)))
    }

    /// One of the last messages is taken back, if it can be.
    private mutating func withdraw(_ byOpener: Bool) throws {
        let sent = (byOpener ? fromOpener : fromAnswerer).sent
        guard !sent.isEmpty else { return }
        let index = max(0, sent.count - 1 - choices.within(0...15))
        let header = sent[index].message.header
        let least = [0, 0, 1000][choices.within(0...2)]
        let target = header.address.target
        let found: StreamMessage?
        switch (header.kind, byOpener) {
        case (.call, true): found = pair.opener.machine.withdraw(callOf: header.id, to: target)
        case (.call, false): found = pair.answerer.machine.withdraw(callOf: header.id, to: target)
        case (.reply, true): found = pair.opener.machine.withdraw(answerTo: header.id, of: target, longerThan: least)
        case (.reply, false): found = pair.answerer.machine.withdraw(answerTo: header.id, of: target, longerThan: least)
        default: return
        }
        guard let found else { return }
        try FuzzFinding.expect(found.header.id == header.id && !sent[index].isWithdrawn, "another message was withdrawn than was meant")
        if byOpener { fromOpener.sent[index].isWithdrawn = true } else { fromAnswerer.sent[index].isWithdrawn = true }
    }

    /// Time goes by without a byte, and both look at it.
    private mutating func pass() throws {
        pair.now = pair.now + .seconds(Int64([1, 5, 16, 40, 130][choices.within(0...4)]))
        let hadPath = waitingSince == nil
        for outcome in [pair.opener.machine.tick(at: pair.now), pair.answerer.machine.tick(at: pair.now)] {
            switch outcome {
            case .nothing: break
            case .pathIsDead:
                try FuzzFinding.expect(hadPath, "a path is dead that is not there")
                lose()
            case .expired:
                let waited = waitingSince.map { pair.now - $0 } ?? .zero
                try FuzzFinding.expect(!hadPath && waited >= limits.resume, "a stream expired after \(waited)")
                hasExpired = true
            }
        }
    }

    private mutating func ask(_ byOpener: Bool) {
        if byOpener { pair.opener.machine.ask(at: pair.now) } else { pair.answerer.machine.ask(at: pair.now) }
    }

    /// A peer that cannot be right is refused, whatever state the stream is in.
    private mutating func lie(_ byOpener: Bool) throws {
        let machine = byOpener ? pair.opener.machine : pair.answerer.machine
        let beyond = UInt64(choices.within(1...300))
        var copy = machine
        try expectFault("frames that were not sent are claimed") { () throws(StreamFault) in
            try copy.attached(peer: (machine.sender.numbered + beyond, 1000), first: 0, at: pair.now)
        }
        copy = machine
        try expectFault("a path begins beyond what has come") { () throws(StreamFault) in
            try copy.attached(peer: (machine.sender.confirmed, 1000), first: machine.receiver.received + beyond, at: pair.now)
        }
        guard machine.isAttached else { return }
        copy = machine
        try expectFault("frames that were not sent are confirmed") { () throws(StreamFault) in
            try copy.received(.confirm(machine.sender.numbered + beyond), at: pair.now)
        }
    }

    private func expectFault(_ what: String, _ body: () throws(StreamFault) -> Void) throws {
        do throws(StreamFault) { try body() } catch { return }
        throw FuzzFinding("\(what), and taken")
    }

    /// A side begins or ceases to read; now and then one ends.
    private mutating func change(_ byOpener: Bool) {
        let ends = choices.within(0...15) == 0
        if ends, byOpener {
            pair.opener.machine.end("closed")
            fromOpener.hasEnded = true
        } else if ends {
            pair.answerer.machine.end("closed")
            fromAnswerer.hasEnded = true
        } else if byOpener {
            pair.opener.reads.toggle()
        } else {
            pair.answerer.reads.toggle()
        }
        StreamPair.take(&pair.opener)
        StreamPair.take(&pair.answerer)
    }

    // MARK: Rules

    private func check(_ machine: StreamStateMachine) throws {
        let frame = StreamFrameCoding.header + StreamFrameCoding.maximumBody
        let (kept, held, receiving) = (machine.sender.keptBytes, machine.receiver.heldBytes, limits.receiving)
        try FuzzFinding.expect(kept <= receiving.window + frame, "\(kept) bytes are kept for a window of \(receiving.window)")
        let most = receiving.message + receiving.unfinishedBytes + receiving.window + frame
        try FuzzFinding.expect(held <= most, "\(held) bytes are held, \(most) are the most")
        try FuzzFinding.expect(machine.receiver.taken <= machine.receiver.received, "more was taken than came")
    }

    /// Each message once and whole; of a stream that expired the first ones. Messages of one lane that may not be left out in their order,
    /// and the events of one signal; those of them that may be left out are counted where they are. Such a one comes behind the answers to
    /// subscriptions that were sent before it, and before what was raised after it.
    private func compare(_ sent: [Sent], _ taken: [ByteBuffer]) throws {
        var staying: [StreamLane: Deque<StreamMessage>] = [:]
        var signals: [ActionAddress: Deque<StreamMessage>] = [:]
        var clients: [UInt32: UInt64] = [:]
        for message in sent.filter({ !$0.isWithdrawn }).map(\.message) {
            clients[message.header.id] = message.client
            if message.header.kind == .event { signals[message.header.address, default: []].append(message) }
            guard !message.header.flags.contains(.latest) else { continue }
            staying[StreamLane(message.header, client: message.client), default: []].append(message)
        }
        var last: [StreamLane: UInt32] = [:]
        for bytes in taken {
            let (header, told, payload) = try StreamSample.event(bytes)
            let lane = StreamLane(header, client: clients[header.id] ?? 0)
            var original: StreamMessage?
            if header.flags.contains(.latest) {
                try FuzzFinding.expect(
                    staying[lane]?.contains { $0.header.confirmsSubscription && $0.header.id < header.id } != true,
                    "event \(header.id) came before an answer that it stands behind")
                try FuzzFinding.expect(last[lane] ?? 0 <= header.id, "event \(header.id) came behind one that was raised later")
            } else {
                original = staying[lane]?.popFirst()
                try FuzzFinding.expect(original?.header.id == header.id, "message \(header.id) did not come in its place, or twice")
                last[lane] = header.id
            }
            var left = 0
            if header.kind == .event {
                while let next = signals[header.address]?.first, next.header.id != header.id {
                    try FuzzFinding.expect(next.header.flags.contains(.latest), "event \(next.header.id) did not come in its place")
                    left += 1
                    signals[header.address]?.removeFirst()
                }
                original = signals[header.address]?.popFirst()
            }
            guard let original else { throw FuzzFinding("message \(header.id) was not sent, or came twice") }
            try FuzzFinding.expect(
                try StreamSample.event(original.bytes.joined).payload == payload, "message \(header.id) is not what was sent")
            try FuzzFinding.expect(told == left, "\(told) were told to be missing before message \(header.id), not \(left)")
        }
        try FuzzFinding.expect(
            hasExpired || (signals.values.allSatisfy(\.isEmpty) && staying.values.allSatisfy(\.isEmpty)),
            "a message did not come, or no later one")
    }
}
