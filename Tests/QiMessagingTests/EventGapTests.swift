import NIOCore
@testable import QiMessaging
import QiWire
import Testing

/// Events that come faster than a path takes them, from another device to subscribers of this node: what is left out, and what is told of
/// it.
@Suite(.timeLimit(.minutes(8))) struct EventGapTests {
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

    @Test func aClientThatJoinsASignalGetsNoEventBeforeItsSubscriptionIsConfirmed() async throws {
        try await Self.with { far, session, endpoint, emit in
            let latest = try await session.service("pepper/Sonar").events(of: "measured", buffering: .latest)
            try await withClient(endpoint) { client in
                let sonar = ObjectAddress.main(ofService: try await client.lookUp("pepper/Sonar"))
                try await far.setReading(false)
                try emit(0..<20)
                try await far.settle()
                let register = try Message.call(
                    ActionAddress(sonar, action: WellKnownActions.registerEvent), id: 50, [.uint32(0), .uint32(100), .uint64(7)], "(IIL)")
                try await client.send(register)
                try await client.expectAlive()
                try await far.setReading(true)
                while let message = await client.next() {
                    try #require(message.kind != .event, "an event came before the answer")
                    if message.id == 50, message.kind.isAnswer { break }
                }
                try emit(20..<21)
                let event = try #require(await client.next())
                guard case .tuple(let arguments) = try event.value("(ir)") else { throw QiError(.invalid, "an event without arguments") }
                #expect(arguments.first == .int32(20))
            }
            latest.stop()
        }
    }

    @Test func eventsWithObjectsAreNotLeftOut() async throws {
        try await FarStream.with { _, endpoint, far in
            var builder = ObjectBuilder()
            builder.advertiseSignal("made", "(o)")
            builder.advertiseMethod("make", "(i)") { arguments, context in
                for _ in 0..<(arguments[0].asInt ?? 0) {
                    try context.object.emit("made", [.object(try await context.host(ObjectBuilder()).reference)])
                }
                return .void
            }
            _ = try await far.server.register(builder, as: "Maker")
            var capabilities = Capabilities.ours
            capabilities[Capabilities.Name.eventGaps] = QiDynamic(.bool(true))
            let client = try await RawClient(endpoint)
            try await client.authenticate(capabilities)
            let maker = ObjectAddress.main(ofService: try await client.lookUp("pepper/Maker"))
            let answer = try await client.call(
                ActionAddress(maker, action: WellKnownActions.registerEvent), id: 1, [.uint32(0), .uint32(100), .uint64(1)], "(IIL)",
                flags: .latest)
            #expect(answer.kind == .reply, "\(answer.errorText)")
            try await client.send(try .call(ActionAddress(maker, action: 101), id: 2, [.int32(30)], "(i)"))
            var came = 0
            while came < 30, let message = await client.next() {
                guard message.kind == .event else { continue }
                #expect(message.flags.isEmpty, "\(message.flags)")
                came += 1
            }
            #expect(came == 30)
            try await client.close()
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

/// A signal that several clients ask for at a time: one link, and a call for each of them.
struct SignalRegistrationTests {
    private func registration(isLatest: Bool = false) -> SignalRegistration<String> {
        var registration = SignalRegistration(5, isLatest: isLatest, before: nil, call: 0, ["one"])
        registration.add(call: 1, "two")
        return registration
    }

    private func text(_ outcome: SignalRegistration<String>.Outcome?) -> String {
        switch outcome {
        case .confirmed(let waiting): "confirmed \(waiting)"
        case .failed(let waiting): "failed \(waiting)"
        case .failedAlone(let waiting): "failed alone \(waiting)"
        case .again(let waiting): "again \(waiting)"
        case .pending: "pending"
        case nil: "none"
        }
    }

    @Test func theFirstCallThatIsConfirmedConfirmsAll() {
        var registration = registration()
        #expect(text(registration.answered(1, isConfirmed: true, isLost: false)) == #"confirmed ["one", "two"]"#)
    }

    @Test func aCallThatFailsFailsItsOwnClientAlone() {
        var registration = registration()
        #expect(text(registration.answered(0, isConfirmed: false, isLost: true)) == #"failed alone ["one"]"#)
        #expect(text(registration.answered(0, isConfirmed: false, isLost: true)) == "none")
        #expect(text(registration.answered(1, isConfirmed: false, isLost: false)) == #"failed ["two"]"#)
        #expect(registration.mayBeThere)
    }

    @Test func aCallOfAnotherDoesNotConfirmThatOnlyTheLastEventCounts() {
        var registration = registration(isLatest: true)
        #expect(text(registration.answered(1, isConfirmed: true, isLost: false)) == "pending")
        var other = registration
        #expect(text(registration.answered(0, isConfirmed: true, isLost: false)) == #"confirmed ["one", "two"]"#)
        #expect(text(other.answered(0, isConfirmed: false, isLost: true)) == #"again ["one", "two"]"#)
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
