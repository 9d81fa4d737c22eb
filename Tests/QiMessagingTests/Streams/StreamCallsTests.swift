import NIOCore
@testable import QiMessaging
import QiWire
import Synchronization
import Testing

/// What a connection does on a device stream that is slow: calls that are taken back, objects that are released, subscriptions.
@Suite(.timeLimit(.minutes(8))) struct StreamCallsTests {
    /// Runs `body` on the near node's loop with its connection to the far device.
    private static func onLink<Result: Sendable>(
        _ near: DirectoryServer, _ body: @escaping @Sendable (Connection) -> Result
    ) async throws -> Result {
        let directory = near.directory
        return try await near.loop.run { (_) async throws(QiError) in
            guard let connection = try directory.value.requireGateway().link(named: "pepper").connection else {
                throw QiError(.offline, "no stream is open")
            }
            return body(connection)
        }
    }

    /// The same on the far node's loop with the connection from the near one.
    private static func onFar<Result: Sendable>(
        _ far: FarStream, _ body: @escaping @Sendable (Connection) -> Result
    ) async throws -> Result {
        let directory = far.server.directory
        return try await far.server.loop.run { (_) async throws(QiError) in
            guard let connection = directory.value.deviceConnections.first else { throw QiError(.offline, "no stream came") }
            return body(connection)
        }
    }

    /// Looks until the condition holds.
    private static func until(_ what: String, _ condition: () async throws -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(30)
        while try await !condition() {
            guard ContinuousClock.now < end else { throw QiError(.timedOut, "not within 30 s: \(what)") }
            await Task.yield()
        }
    }

    /// A service that counts what is called, and makes objects that do.
    private static func counter(_ count: @escaping @Sendable () -> Void) -> ObjectBuilder {
        var builder = ObjectBuilder()
        builder.advertiseMethod("count", "(r)") { _, _ in
            count()
            return .void
        }
        builder.advertiseMethod("make", "()", returns: "o") { _, context in
            var made = ObjectBuilder()
            made.advertiseMethod("count", "(r)") { _, _ in
                count()
                return .void
            }
            return .object(try await context.host(made).reference)
        }
        builder.advertiseMethod("touch", "()") { _, _ in .void }
        return builder
    }

    private static func post(
        _ address: ActionAddress, id: UInt32, _ arguments: [QiValue], _ signature: Signature
    ) throws -> Message {
        let call = try Message.call(address, id: id, arguments, signature)
        return Message(kind: .post, id: id, address: address, payload: call.payload)
    }

    @Test func aCallThatIsTakenBackInTheBurstThatSentItDoesNotLeaveAndItsTermsAreTakenAway() async throws {
        let counted = Atomic(0)
        try await FarStream.with { near, endpoint, far in
            _ = try await far.server.register(Self.counter { counted.add(1, ordering: .relaxed) }, as: "Counter")
            try await withSession(endpoint) { session in
                let counter = try await session.service("pepper/Counter")
                _ = try await counter.call("touch", arguments: [])
                let services = try await near.services(of: "pepper")
                let service = try #require(services.first { $0.name == "Counter" })
                let address = ActionAddress(ObjectAddress.main(ofService: service.serviceID), action: 100)
                // Nothing is confirmed any more: what is beyond the window waits.
                try await far.setReading(false)
                let wasCanceled = try await Self.onLink(near) { connection in
                    var payload = ByteBuffer()
                    payload.writeQiUInt32(16_000)
                    payload.writeRepeatingByte(0, count: 16_000)
                    for _ in 0..<40 { connection.post(address, payload) }
                    connection.flush()
                    connection.callTerms.areTold = true
                    var answer: CallAnswer?
                    let id = connection.call(
                        address, payload, flags: [], end: .never, terms: CallTerms(mostBytes: 1000), waiter: .closure { answer = $0 })
                    if let id { connection.cancel(id) }
                    if case .canceled? = answer { return true }
                    return false
                }
                #expect(wasCanceled)
                try await far.setReading(true)
                try await Self.until("40 posts counted") { counted.load(ordering: .relaxed) >= 40 }
                // What was sent before has come when this is answered.
                _ = try await counter.call("touch", arguments: [])
                #expect(counted.load(ordering: .relaxed) == 40)
                #expect(try await Self.onFar(far) { $0.callTerms.isEmpty })
            }
        }
    }

    @Test func anObjectIsReleasedBehindWhatWasSentToItBefore() async throws {
        let counted = Atomic(0)
        try await FarStream.with { near, endpoint, far in
            _ = try await far.server.register(Self.counter { counted.add(1, ordering: .relaxed) }, as: "Counter")
            try await withClient(endpoint) { client in
                let counter = ObjectAddress.main(ofService: try await client.lookUp("pepper/Counter"))
                let made = try await client.call(ActionAddress(counter, action: 101), id: 1)
                guard case .object(let object) = try made.value("o") else { throw QiError(.invalid, made.errorText) }
                let address = object.address
                // Nothing is confirmed any more: what is beyond the window waits.
                try await far.setReading(false)
                for id: UInt32 in 2..<42 {
                    let filling = QiValue.raw(ByteBuffer(repeating: 0, count: 16_000))
                    try await client.send(try Self.post(ActionAddress(address, action: 100), id: id, [filling], "(r)"))
                }
                let terminate = ActionAddress(address, action: WellKnownActions.terminate)
                try await client.send(try Self.post(terminate, id: 50, [.uint32(address.service)], "(I)"))
                try await client.expectAlive()
                let waiting = try await Self.onLink(near) { $0.stream?.machine.sender.queuedBytes ?? 0 }
                #expect(waiting > 100_000, "\(waiting) bytes wait")
                try await far.setReading(true)
                try await Self.until("all 40 posts counted, \(counted.load(ordering: .relaxed))") { counted.load(ordering: .relaxed) == 40 }
            }
        }
    }

    @Test func anUnregistrationOnAStreamWaitsForAsLongAsTheStreamDoes() async throws {
        try await FarStream.with { near, endpoint, far in
            var builder = ObjectBuilder()
            builder.advertiseSignal("measured", "(i)")
            _ = try await far.server.register(builder, as: "Sonar")
            try await withClient(endpoint) { client in
                let sonar = ObjectAddress.main(ofService: try await client.lookUp("pepper/Sonar"))
                try await client.subscribe(to: 100, of: sonar, link: 1)
                try await far.setReading(false)
                let arguments: [QiValue] = [.uint32(0), .uint32(100), .uint64(1)]
                try await client.send(
                    try Message.call(ActionAddress(sonar, action: WellKnownActions.unregisterEvent), id: 60, arguments, "(IIL)"))
                try await Self.until("the unregistration on its way") { try await Self.onLink(near) { $0.callsInFlight == 1 } }
                let limited = try await Self.onLink(near) { $0.calls.deadlines + $0.calls.young }
                #expect(limited == 0)
                try await far.setReading(true)
                try await Self.until("the unregistration answered") { try await Self.onLink(near) { $0.callsInFlight == 0 } }
            }
        }
    }

    /// A client that wants all events asks beside one that wants the latest, and goes: the device heard both, the second last.
    @Test func theDeviceHearsAgainThatTheLatestCountsWhenTheClientThatWantedAllIsGone() async throws {
        try await FarStream.with { near, endpoint, far in
            var builder = ObjectBuilder()
            builder.advertiseSignal("measured", "(ir)")
            builder.advertiseMethod("touch", "()") { _, _ in .void }
            let sonar = try await far.server.register(builder, as: "Sonar")
            try await withSession(endpoint) { session in
                let proxy = try await session.service("pepper/Sonar")
                _ = try await proxy.call("touch", arguments: [])
                try await withClient(endpoint) { client in
                    let address = ObjectAddress.main(ofService: try await client.lookUp("pepper/Sonar"))
                    // What is asked from now on is not answered before the near node reads again.
                    try await far.setReading(false)
                    var before = try await Self.framesReceived(far)
                    async let listening = proxy.events(of: "measured", buffering: .latest)
                    try await Self.until("the first registration came") { try await Self.framesReceived(far) > before }
                    before = try await Self.framesReceived(far)
                    let link: [QiValue] = [.uint32(0), .uint32(100), .uint64(7)]
                    try await client.send(
                        try Message.call(ActionAddress(address, action: WellKnownActions.registerEvent), id: 50, link, "(IIL)"))
                    try await Self.until("the second registration came") { try await Self.framesReceived(far) > before }
                    try await client.send(
                        try Message.call(ActionAddress(address, action: WellKnownActions.unregisterEvent), id: 51, link, "(IIL)"))
                    try await client.expectAlive()
                    try await far.setReading(true)
                    let latest = try await listening
                    let filling = QiValue.raw(ByteBuffer(repeating: 7, count: 8000))
                    try await Self.until("the path carries the latest alone") {
                        _ = try await proxy.call("touch", arguments: [])
                        try await far.setReading(false)
                        for number in 0..<100 { try sonar.emit("measured", [.int32(Int32(number)), filling]) }
                        try await far.settle()
                        let waiting = try await Self.onFar(far) { $0.stream?.machine.sender.queuedEventBytes(besides: nil) ?? 0 }
                        try await far.setReading(true)
                        return waiting < 16_000
                    }
                    latest.stop()
                }
            }
        }
    }

    /// Frames that the far node has of the near one.
    private static func framesReceived(_ far: FarStream) async throws -> UInt64 {
        try await onFar(far) { $0.stream?.machine.receiver.received ?? 0 }
    }

    /// A device that is silent on XMPP may be asked on its stream.
    @Test func aStreamThatWasSilentIsAskedAndItsAnswerIsASignOfLife() async throws {
        try await FarStream.with { _, endpoint, far in
            _ = try await far.server.register(ObjectBuilder(), as: "Silent")
            try await withClient(endpoint) { client in
                _ = try await client.lookUp("pepper/Silent")
                func silence(askingAfter time: Duration? = nil) async throws -> Duration {
                    try #require(try await far.server.silences(askingAfter: time)["desk@test/1"])
                }
                // With a frame that is not confirmed it is asked anyway.
                try await Self.until("the stream is silent") {
                    let isAwaiting = try await Self.onFar(far) { $0.stream?.machine.sender.isAwaiting ?? true }
                    let silence = try await silence()
                    return !isAwaiting && silence > .milliseconds(200)
                }
                let before = try await Self.onFar(far) { $0.stream?.machine.pongs ?? 0 }
                _ = try await silence(askingAfter: .milliseconds(100))
                try await Self.until("an answer came") { try await Self.onFar(far) { $0.stream?.machine.pongs ?? 0 } > before }
                #expect(try await silence() < .seconds(30))
            }
        }
    }
}
