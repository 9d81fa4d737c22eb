import NIOCore
import QiMessaging
import QiWire
import Testing

/// What `client.py` does, from a session of ours: puts a service of the shape of `service.py` through everything.
struct SessionBattery {
    let session: Session
    let service: ObjectProxy

    init(_ session: Session, service: String = "Peer") async throws {
        self.session = session
        self.service = try await session.service(service)
    }

    func run(payload: Int = 10 << 20, calls: Int = 1000) async throws {
        try await types()
        try await unicode()
        try await arguments()
        try await payloads(payload)
        try await errors()
        try await signals()
        try await properties()
        try await objectsReturned()
        try await objectsPassed()
        try await callsInFlight(calls)
        try await deadlines()
        try await cancellation()
    }

    // MARK: - Values

    private static let values: [(name: String, value: QiValue)] = [
        ("bool", .bool(true)), ("bool", .bool(false)), ("int8", .int8(.min)), ("uint8", .uint8(.max)), ("int16", .int16(.min)),
        ("uint16", .uint16(.max)), ("int32", .int32(.min)), ("uint32", .uint32(.max)), ("int64", .int64(.min)),
        ("int64", .int64(.max)), ("uint64", .uint64(UInt64(Int64.max))), ("float", .float(-1.25)), ("double", .double(.leastNonzeroMagnitude)),
        ("string", .string("")), ("string", .string("two\nlines\ttab")), ("raw", .raw(ByteBuffer(bytes: 0...255))),
        ("ints", .list([])), ("ints", .list([.int32(1), .int32(-2)])), ("strings", .list([.string("a"), .string("")])),
        ("map", .map([QiMapEntry(key: .string("one"), value: .int32(1))])),
        ("keyed", .map([QiMapEntry(key: .int32(7), value: .list([.string("seven")]))])),
        ("pair", .tuple([.int32(1), .string("one")])),
        ("point", .tuple([.double(1.5), .double(-2.5), .string("here")])),
        ("points", .list([.tuple([.double(0), .double(1), .string("a")])])),
        ("optional", .optional(nil)), ("optional", .optional(.int32(3))),
        ("optionals", .list([.optional(.string("set")), .optional(nil)])),
    ]

    private static let dynamics: [QiValue] = [
        .void, .bool(true), .int64(-1), .double(1.5), .string("text"), .list([.dynamic(.int64(1)), .dynamic(.string("x"))]),
        .map([QiMapEntry(key: .string("k"), value: .list([.double(1.5)]))]), .tuple([.int64(1), .string("t")]),
    ]

    private func types() async throws {
        for (name, value) in Self.values {
            let answer = try await service.call("echo_\(name)", arguments: [value])
            #expect(answer == value, "echo_\(name)")
        }
        for value in Self.dynamics {
            let answer = try await service.call("echo_dynamic", arguments: [value])
            #expect(answer.plain == value.plain, "echo_dynamic")
        }
        let several: [QiValue] = Self.dynamics.map { .dynamic($0) }
        #expect(try await service.call("echo_dynamics", arguments: [.list(several)]).plain == QiValue.list(several).plain)
    }

    private func unicode() async throws {
        let texts = [
            "h\u{e9}llo \u{4e16}\u{754c} \u{1f600}", "\u{5e9}\u{5dc}\u{5d5}\u{5dd}", "e\u{301} is not \u{e9}", "<a href=\"x\">&amp; ]]> '",
            "\0\u{1}\u{8}\u{1f} control characters \u{7f}\u{fffe}", "\u{10ffff}",
        ]
        for text in texts {
            let answer: String = try await service.call("echo_string", text)
            // As bytes: `==` of two strings is about characters.
            #expect(Array(answer.utf8) == Array(text.utf8))
        }
    }

    private func arguments() async throws {
        #expect(try await service.call("concat", "a", Int32(-7), "\u{df}") == "a-7\u{df}")
        #expect(try await service.call("nothing", arguments: []) == .void)
        #expect(try await service.call("untyped", arguments: [.int64(1), .string("x")]).plain == .list([.int64(1), .string("x")]))
        #expect(try await service.call("variadic", arguments: [.int64(1), .string("x")]).plain == .list([.int64(1), .string("x")]))
        #expect(try await service.call("over", Int32(1)) == "int")
        #expect(try await service.call("over", "x") == "string")
        #expect(try await service.call("over", Int32(1), Int32(2)) == "two ints")
        #expect(try await service.call("over::(ii)", Int32(1), Int32(2)) == "two ints")
    }

    private func payloads(_ count: Int) async throws {
        let sent = Self.pattern(count)
        #expect(try await service.call("size", sent, deadline: .seconds(30)) == UInt32(count))
        let back: ByteBuffer = try await service.call("echo_raw", sent, deadline: .seconds(30))
        #expect(back == sent)
        let made: ByteBuffer = try await service.call("bytes_of", UInt32(count), deadline: .seconds(30))
        #expect(made.readableBytes == count)
    }

    private static func pattern(_ count: Int) -> ByteBuffer {
        let unit = [UInt8](0...250)
        var buffer = ByteBuffer()
        while buffer.readableBytes + unit.count <= count { buffer.writeBytes(unit) }
        buffer.writeRepeatingByte(1, count: count - buffer.readableBytes)
        return buffer
    }

    // MARK: - Errors

    private func errors() async throws {
        let text = "it went wrong: \u{e9} <&>"
        let remote = await #expect(throws: QiError.self) { _ = try await service.call("fail", arguments: [.string(text)]) }
        #expect(remote?.code == .remote)
        #expect(remote?.message.contains(text) == true)
        let unknown = await #expect(throws: QiError.self) { _ = try await service.call("not there", arguments: []) }
        #expect(unknown?.code == .notFound)
        let unfit = await #expect(throws: QiError.self) { _ = try await service.call("concat", arguments: [.string("one")]) }
        #expect(unfit?.code == .invalid)
        // Cannot be converted here: sent as a dynamic, and the callee must refuse.
        let wrong = await #expect(throws: QiError.self) { _ = try await service.call("echo_ints", arguments: [.string("x")]) }
        #expect(wrong?.code == .remote)
        #expect(try await service.call("concat", "still", Int32(1), "here") == "still1here")
        let nobody = await #expect(throws: QiError.self) { _ = try await session.service("NobodyByThatName") }
        #expect(nobody?.code == .notFound)
    }

    // MARK: - Signals and properties

    private func signals() async throws {
        let spoken = try await service.events(of: "spoken", buffer: 1024)
        let moved = try await service.events(of: "moved")
        _ = try await service.call("say", arguments: [.string("zwei \u{e4}")])
        #expect(await spoken.first() == [.string("zwei \u{e4}")])
        _ = try await service.call("burst", arguments: [.int32(200)])
        var texts: [String] = []
        for await event in spoken {
            texts.append(event.first?.asString ?? "")
            if texts.count == 200 { break }
        }
        // As a set: libqi emits from a pool of threads.
        #expect(texts.sorted() == (0..<200).map { "burst \($0)" }.sorted())
        _ = try await service.call("move", arguments: [.int32(3), .string("left")])
        #expect(await moved.first() == [.int32(3), .string("left")])
        try service.emit("moved", arguments: [.int32(4), .string("posted")])
        #expect(await moved.first() == [.int32(4), .string("posted")])
        spoken.stop()
        #expect(await spoken.first() == nil)
        #expect(spoken.failure == nil && spoken.dropped == 0)
    }

    private func properties() async throws {
        try await service.setProperty("volume", .int32(11))
        #expect(try await service.property("volume").value == .int32(11))
        let events = try await service.events(of: "volume")
        try await service.setProperty("volume", .double(12.9))
        #expect(await events.first() == [.int32(12)])
        try await service.setProperty("title", .string("\u{fc}ber <&>"))
        #expect(try await service.property("title").value == .string("\u{fc}ber <&>"))
        let wrong = await #expect(throws: QiError.self) { try await service.setProperty("volume", .string("loud")) }
        #expect(wrong?.code == .remote)
    }

    // MARK: - Objects

    private func objectsReturned() async throws {
        let second: ObjectProxy
        do {
            let reference = try #require(try await service.call("counter", arguments: [.int32(5)]).asObject)
            var bare = reference
            bare.attachment = nil
            let counter = try await service.object(reference)
            let passed = try await counter.events(of: "passed")
            #expect(try await counter.call("add", Int32(2)) == Int32(7))
            #expect(await passed.first() == [.int32(7)])
            #expect(try await counter.property("total").value == .int32(7))
            second = try await service.object(bare)
        }
        // Nobody holds the result any more, and the object was released; on one connection that is told before the next call.
        let released = await #expect(throws: QiError.self) { _ = try await second.call("add", arguments: [.int32(1)]) }
        #expect(released?.code == .notFound)
    }

    private func objectsPassed() async throws {
        var builder = ObjectBuilder()
        builder.advertiseMethod("called", "(s)", returns: "s") { arguments, _ in
            .string("called back with \(arguments[0].asString ?? "")")
        }
        let passed = try await service.host(builder)
        let answer = try await service.call("recall", arguments: [.object(passed.reference), .string("x")])
        #expect(answer == .string("called back with x"))
    }

    // MARK: - Load and time

    private func callsInFlight(_ count: Int) async throws {
        let sum = try await withThrowingTaskGroup(of: Int.self) { group in
            for number in 0..<count {
                group.addTask {
                    let answer: Int32 = try await service.call("echo_int32", Int32(number), deadline: .seconds(30))
                    #expect(answer == Int32(number))
                    return Int(answer)
                }
            }
            return try await group.reduce(0, +)
        }
        #expect(sum == count * (count - 1) / 2)
    }

    private func deadlines() async throws {
        let clock = ContinuousClock()
        let start = clock.now
        let late = await #expect(throws: QiError.self) {
            _ = try await service.call("slow", arguments: [.double(20)], deadline: .milliseconds(100))
        }
        #expect(late?.code == .timedOut)
        let task = Task { try await service.call("slow", arguments: [.double(20)]) }
        #expect(try await service.call("echo_int32", Int32(1)) == Int32(1))
        task.cancel()
        let cancelled = await #expect(throws: QiError.self) { _ = try await task.value }
        #expect(cancelled?.code == .cancelled)
        #expect(clock.now - start < .seconds(15), "neither waits for the method's own end")
    }

    /// Cancelling a task here ends the method there.
    private func cancellation() async throws {
        let before: Int32 = try await service.call("cancelled")
        let task = Task { try await service.call("endless", arguments: [], deadline: .seconds(60)) }
        try await until("waiting", is: 1)
        task.cancel()
        let cancelled = await #expect(throws: QiError.self) { _ = try await task.value }
        #expect(cancelled?.code == .cancelled)
        try await until("cancelled", is: before + 1)
        try await until("waiting", is: 0)
    }

    /// Asks until a method gives `wanted`, or for 20 s.
    private func until(_ method: String, is wanted: Int32) async throws {
        let end = ContinuousClock.now + .seconds(20)
        var value: Int32
        repeat { value = try await service.call(method) } while value != wanted && ContinuousClock.now < end
        #expect(value == wanted, "\(method)")
    }
}

extension SignalEvents {
    /// The next event; nil at the end.
    func first() async -> [QiValue]? {
        var iterator = makeAsyncIterator()
        return await iterator.next()
    }
}

extension QiValue {
    /// The value without the dynamics in it.
    var plain: QiValue {
        switch self {
        case .dynamic(let dynamic): dynamic.value.plain
        case .list(let elements): .list(elements.map(\.plain))
        case .tuple(let members): .tuple(members.map(\.plain))
        case .map(let entries): .map(entries.map { QiMapEntry(key: $0.key.plain, value: $0.value.plain) })
        case .optional(let value): .optional(value?.plain)
        default: self
        }
    }
}
