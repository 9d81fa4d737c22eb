import NIOCore
@testable import QiMessaging
import QiWire
import Testing

/// Events that come faster than a path takes them, from another device to subscribers of this node: what is left out, and what is told of
/// it.
@Suite(.timeLimit(.minutes(2))) struct EventGapTests {
    private static let count = 200
    private static let bytes = 8_000

    /// A far device with a service that emits `measured(i, raw)`, and a session at the near node.
    private static func with(
        _ body: (_ far: FarStream, _ session: Session, _ endpoint: Endpoint, _ emit: (Range<Int>) throws -> Void) async throws -> Void
    ) async throws {
        try await FarStream.with { _, endpoint, far in
            var builder = ObjectBuilder()
            builder.advertiseSignal("measured", "(ir)")
            builder.advertiseMethod("touch", "()") { _, _ in .void }
            let sonar = try await far.server.register(builder, as: "Sonar")
            let filling = QiValue.raw(ByteBuffer(repeating: 7, count: bytes))
            try await withSession(endpoint) { session in
                try await body(far, session, endpoint) { numbers in
                    for number in numbers { try sonar.emit("measured", [.int32(Int32(number)), filling]) }
                }
            }
        }
    }

    /// Reads up to the event with that number. Each event tells exactly how many are missing before it. How many were missing altogether.
    private static func read(
        _ events: SignalEvents, from first: Int = 0, to last: Int, each: (Int) throws -> Void = { _ in }
    ) async throws -> Int {
        var (expected, missed) = (first, 0)
        for await event in events.withGaps {
            let number = try #require(event.value[0].asInt)
            missed += event.missed
            try #require(number == Int64(expected + event.missed), "\(event.missed) missed before \(number), expected \(expected)")
            expected = Int(number) + 1
            try each(Int(number))
            if number == Int64(last) { return missed }
        }
        throw QiError(.disconnected, "the events ended at \(expected): \(events.failure?.message ?? "")")
    }

    @Test func aSubscriberThatWantsTheLatestGetsItWithTheNumberOfThoseLeftOut() async throws {
        try await Self.with { far, session, _, emit in
            let events = try await session.service("pepper/Sonar").events(of: "measured", buffering: .latest)
            try await far.setReading(false)
            try emit(0..<Self.count)
            try await far.settle()
            try await far.setReading(true)
            // Those that fit into the window have left before; all others but the last give their place.
            let missed = try await Self.read(events, to: Self.count - 1)
            #expect(missed >= Self.count - 1 - (512 << 10) / Self.bytes, "\(missed)")
        }
    }

    @Test func nothingIsLeftOutForASubscriberThatWantsAllBesideOneThatWantsTheLatest() async throws {
        try await Self.with { far, session, endpoint, emit in
            let sonar = try await session.service("pepper/Sonar")
            let latest = try await sonar.events(of: "measured", buffering: .latest)
            try await withSession(endpoint) { other in
                let all = try await other.service("pepper/Sonar").events(of: "measured", buffering: .newest(1000))
                try await far.setReading(false)
                try emit(0..<Self.count)
                try await far.settle()
                try await far.setReading(true)
                #expect(try await Self.read(all, to: Self.count - 1) == 0)
                _ = try await Self.read(latest, to: Self.count - 1)
                all.stop()
                _ = try await other.service("pepper/Sonar").call("touch", arguments: [])
            }
            _ = try await sonar.call("touch", arguments: [])
            // With that one gone the path carries the latest alone again.
            try await far.setReading(false)
            try emit(Self.count..<2 * Self.count)
            try await far.settle()
            let waiting = try await Self.queuedEventBytes(at: far)
            try await far.setReading(true)
            _ = try await Self.read(latest, from: Self.count, to: 2 * Self.count - 1)
            #expect(waiting < 2 * Self.bytes, "\(waiting) bytes of events waited")
        }
    }

    /// Bytes of events that wait for the near node.
    private static func queuedEventBytes(at far: FarStream) async throws -> Int {
        let directory = far.server.directory
        return try await far.server.loop.run { (_) async throws(QiError) in
            directory.value.deviceConnections.compactMap(\.stream).reduce(0) { $0 + $1.machine.sender.queuedEventBytes(besides: nil) }
        }
    }

    @Test func beyondTheBoundEventsAreLeftOutForAllAndTheirNumberIsTold() async throws {
        try await Self.with { far, session, endpoint, emit in
            let events = try await session.service("pepper/Sonar").events(of: "measured", buffering: .newest(2000))
            try await withClient(endpoint) { client in
                let sonar = ObjectAddress.main(ofService: try await client.lookUp("pepper/Sonar"))
                try await client.subscribe(to: 100, of: sonar, link: 1)
                try await far.setReading(false)
                try emit(0..<1000)
                try await far.settle()
                let waiting = try await Self.queuedEventBytes(at: far)
                #expect(waiting <= 4 << 20, "\(waiting) bytes of events waited")
                try await far.setReading(true)
                let missed = try await Self.read(events, to: 1000) { number in if number == 300 { try emit(1000..<1001) } }
                #expect(missed > 300, "\(missed)")
                // A client of libqi sees the events that came, as ever.
                for await message in AsyncStream(unfolding: { await client.next() }) where message.kind == .event {
                    #expect(message.flags.isEmpty)
                    guard case .tuple(let arguments) = try message.value("(ir)") else {
                        throw QiError(.invalid, "an event without arguments")
                    }
                    if arguments.first == .int32(1000) { break }
                }
            }
        }
    }
}

/// What a subscriber's own queue leaves out is part of the same count.
struct EventQueueTests {
    @Test(arguments: [EventBuffering.latest, .newest(1)]) func theNewestTellsOfThoseThatABusyReaderMissed(_ given: EventBuffering) async {
        let queue = EventQueue<Int>(given)
        queue.push(0)
        queue.leftOut(5)
        queue.push(6)
        queue.push(7)
        let event = await queue.next()
        #expect(event?.value == 7 && event?.missed == 7)
        queue.push(8)
        #expect(await queue.next()?.missed == 0)
        #expect(queue.dropped == 2)
    }

    @Test func theOneAfterTheOldestTellsOfThoseThatABusyReaderMissed() async {
        let queue = EventQueue<Int>(.oldest(1))
        queue.push(0)
        queue.leftOut(2)
        queue.push(3)
        queue.push(4)
        #expect(await queue.next()?.missed == 0)
        queue.push(5)
        let event = await queue.next()
        #expect(event?.value == 5 && event?.missed == 4)
    }
}
