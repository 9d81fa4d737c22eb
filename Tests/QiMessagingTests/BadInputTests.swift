import NIOCore
@testable import QiMessaging
import QiWire
import Testing

/// Whatever a peer sends gets the answer that the wire reference names, and hurts no other connection.
@Suite(.timeLimit(.minutes(8)))
struct BadInputTests {
    private static let inc = ActionAddress(service: 2, object: 1, action: 103)
    private static let register = ActionAddress(.serviceDirectory, action: WellKnownActions.registerService)
    private static let unregister = ActionAddress(.serviceDirectory, action: WellKnownActions.unregisterService)

    /// A directory with the probe service, and a bystander that has to be served to the end.
    private func withBystander(
        limits: ConnectionLimits = ConnectionLimits(), _ body: (Endpoint, RawClient) async throws -> Void
    ) async throws {
        try await withDirectory(limits: limits) { directory, endpoint in
            _ = try await directory.register(ProbeTests.probeObject(), as: "Probe")
            try await withClient(endpoint) { bystander in
                try await body(endpoint, bystander)
                try await bystander.expectAlive()
            }
        }
    }

    // MARK: - Frames

    @Test(arguments: [
        ("wrong magic", "42dead430100000000000000000001000100000001000000 6c000000"),
        ("wrong magic, rubbish", "474554202f20485454502f312e310d0a486f73743a20780d0a0d0a0000000000"),
        ("a payload of 50 000 001 bytes", "42dead420100000081f0fa02000001000100000001000000 6c000000"),
        ("a payload of 4 GiB", "42dead4201000000ffffffff000001000100000001000000 6c000000"),
    ])
    func closesTheConnection(title: String, hex: String) async throws {
        try await withBystander { endpoint, _ in
            // Before authentication and after it.
            let stranger = try await RawClient(endpoint)
            try await stranger.send(bytes(hex))
            await stranger.expectClosed()
            try await withClient(endpoint) { client in
                try await client.send(bytes(hex))
                await client.expectClosed()
            }
        }
    }

    @Test func unknownKindsAndVersionsAreNoHarm() async throws {
        try await withBystander { endpoint, _ in
            try await withClient(endpoint) { client in
                for kind in [UInt8(0), 2, 3, 5, 8, 9, 200, 255] {
                    try await client.send(Message(kind: MessageKind(rawValue: kind), id: 1, address: Self.inc))
                }
                try await client.send(bytes("42dead42 05000000 00000000 0100 01 00 010000000100000065000000"))
                let answer = try #require(await client.next())
                #expect(answer.kind == .error && answer.id == 5)
                #expect(answer.errorText.contains("doesn't support binary protocol v1"))
                try await client.expectAlive()
            }
        }
    }

    // MARK: - Authentication

    @Test func nothingIsServedBefore() async throws {
        var limits = ConnectionLimits()
        // Five exchanges take longer than its ten seconds where everything runs at once under a sanitizer.
        limits.authenticationTimeout = .minutes(2)
        try await withBystander(limits: limits) { endpoint, _ in
            let client = try await RawClient(endpoint)
            for (id, address) in [(UInt32(1), Self.inc), (2, Self.register), (3, ActionAddress(service: 0, object: 1, action: 8))] {
                let answer = try await client.call(address, id: id)
                #expect(answer.kind == .error && answer.errorText == "The call request could not be handled.")
            }
            try await client.send(Message(kind: .post, id: 4, address: Self.inc), Message(kind: .cancel, id: 5, address: Self.inc))
            try await client.authenticate()
            try await client.expectAlive()
            try await client.close()
        }
    }

    @Test func undecodableCredentialsCloseTheConnection() async throws {
        try await withBystander { endpoint, _ in
            let client = try await RawClient(endpoint)
            try await client.send(Message(kind: .call, id: 1, address: .authenticate, payload: bytes("ffffffff01")))
            await client.expectClosed()
        }
    }

    @Test func whoNeverAuthenticatesIsLetGo() async throws {
        var limits = ConnectionLimits()
        // Long enough for the bystander on a machine that runs all tests at once.
        limits.authenticationTimeout = .seconds(5)
        try await withBystander(limits: limits) { endpoint, _ in
            let silent = try await RawClient(endpoint)
            let talker = try await RawClient(endpoint)
            // Talking does not help; on a slow machine it comes too late.
            do { _ = try await talker.call(Self.inc, id: 1) } catch is ChannelError {}
            await silent.expectClosed()
            await talker.expectClosed()
        }
    }

    // MARK: - Calls

    @Test(arguments: [
        (ActionAddress(service: 99, object: 1, action: 100), "The call request could not be handled."),
        (ActionAddress(service: 2, object: 42, action: 100), "The call request could not be handled."),
        (ActionAddress(service: 0, object: 7, action: 8), "The call request could not be handled."),
        (ActionAddress(service: 2, object: 1, action: 999), "No such method {2.1.999, id:7}"),
        (ActionAddress(service: 2, object: 1, action: 4), "No such method {2.1.4, id:7}"),
        (ActionAddress(service: 2, object: 1, action: 105), "No such method {2.1.105, id:7}"),
        (ActionAddress(service: 1, object: 1, action: 4711), "No such method {1.1.4711, id:7}"),
    ])
    func unknownTargets(address: ActionAddress, text: String) async throws {
        try await withBystander { _, client in
            let answer = try await client.call(address, id: 7)
            #expect(answer.kind == .error && answer.errorText == text)
        }
    }

    @Test func wronglyTypedArguments() async throws {
        try await withBystander { _, client in
            let short = try await client.call(Message(kind: .call, id: 1, address: Self.inc, payload: bytes("0500")))
            #expect(short.kind == .error)
            let unfit = try await client.call(Self.inc, id: 2, [.dynamic(.string("x"))], "(m)", flags: .dynamicPayload)
            #expect(unfit.kind == .error)
            let notEvenDynamic = try await client.call(
                Message(kind: .call, id: 3, address: Self.inc, flags: .dynamicPayload, payload: bytes("ffffff7f")))
            #expect(notEvenDynamic.kind == .error)
            let badReturn = try await client.call(
                Message(kind: .call, id: 4, address: Self.inc, flags: .returnType, payload: bytes("05000000 01000000 5a")))
            #expect(badReturn.kind == .error)
            #expect(try await client.call(Self.inc, id: 5, [.int32(1)], "(i)").kind == .reply)
        }
    }

    /// A name that is no text: nobody has it, and nobody may.
    @Test func namesThatAreNoText() async throws {
        try await withBystander { _, client in
            let raw = bytes("02000000 fffe")
            let action = ActionAddress(.serviceDirectory, action: WellKnownActions.service)
            let answer = try await client.call(Message(kind: .call, id: 1, address: action, payload: raw))
            #expect(answer.kind == .error)
        }
    }

    @Test func theFirstOfTwoCallsWithOneIDIsFailed() async throws {
        try await withDirectory { directory, endpoint in
            var builder = ObjectBuilder()
            builder.advertiseMethod("wait", "()") { _, _ in
                await untilCancelled()
                try Task.checkCancellation()
                return .void
            }
            _ = try await directory.register(builder, as: "Waiting")
            try await withClient(endpoint) { client in
                let wait = ActionAddress(service: 2, object: 1, action: 100)
                try await client.send(.call(wait, id: 5), .call(wait, id: 5))
                let first = try #require(await client.next())
                #expect(first.kind == .error && first.id == 5)
                var payload = ByteBuffer()
                payload.writeQiUInt32(5)
                try await client.send(Message(kind: .cancel, id: 6, address: wait, payload: payload))
                #expect(await client.next()?.kind == .canceled)
            }
        }
    }

    @Test func callsInFlightAreBounded() async throws {
        var limits = ConnectionLimits()
        limits.maximumCallsInFlight = 3
        try await withDirectory(limits: limits) { directory, endpoint in
            var builder = ObjectBuilder()
            builder.advertiseMethod("wait", "()") { _, _ in
                await untilCancelled()
                return .void
            }
            _ = try await directory.register(builder, as: "Waiting")
            try await withClient(endpoint) { client in
                let wait = ActionAddress(service: 2, object: 1, action: 100)
                for id in UInt32(1)...4 { try await client.send(.call(wait, id: id)) }
                let refused = try #require(await client.next())
                #expect(refused.id == 4 && refused.kind == .error && refused.errorText.contains("too many calls"))
            }
        }
    }

    @Test func subscriptionsAreBounded() async throws {
        var limits = ConnectionLimits()
        limits.maximumSubscriptions = 2
        try await withBystander(limits: limits) { _, client in
            let subscribe = ActionAddress(service: 2, object: 1, action: WellKnownActions.registerEvent)
            var kinds: [MessageKind] = []
            for id in UInt32(1)...3 {
                kinds.append(try await client.call(subscribe, id: id, [.uint32(2), .uint32(106), .uint64(UInt64(id))], "(IIL)").kind)
            }
            #expect(kinds == [.reply, .reply, .error])
        }
    }

    // MARK: - The directory

    @Test(arguments: [
        ("a b", "tcp://127.0.0.1:1"), ("", "tcp://127.0.0.1:1"), ("x/y", "tcp://127.0.0.1:1"), ("fine", "no uri"), ("fine", ""),
    ])
    func registrationsThatWouldHurtOthers(name: String, endpoint: String) async throws {
        try await withBystander { _, client in
            let info = ServiceInfo(
                name: name, serviceID: 0, machineID: "m", processID: 1, endpoints: [endpoint], sessionID: "s", objectUID: [])
            let answer = try await client.call(Self.register, id: 1, [info.qiValue], Signature(.tuple([ServiceInfo.signature.type])))
            #expect(answer.kind == .error)
            let services = try await client.call(ActionAddress(.serviceDirectory, action: WellKnownActions.services), id: 2)
            #expect(try services.value(Signature(.list(ServiceInfo.signature.type))).asList?.count == 2)
        }
    }

    @Test func servicesOfOthersAreTheirs() async throws {
        try await withBystander { endpoint, owner in
            let info = ServiceInfo(
                name: "Mine", serviceID: 0, machineID: "m", processID: 1, endpoints: ["tcp://127.0.0.1:1"], sessionID: "s", objectUID: [])
            let parameters = Signature(.tuple([ServiceInfo.signature.type]))
            #expect(try await owner.call(Self.register, id: 1, [info.qiValue], parameters).kind == .reply)
            try await withClient(endpoint) { stranger in
                for (id, service) in [(UInt32(1), UInt32(2)), (2, 3)] {
                    let answer = try await stranger.call(Self.unregister, id: id, [.uint32(service)], "(I)")
                    #expect(answer.kind == .error && answer.errorText == "Unregister Service: Can't find service #\(service)")
                }
                let ready = ActionAddress(.serviceDirectory, action: WellKnownActions.serviceReady)
                #expect(try await stranger.call(ready, id: 3, [.uint32(3)], "(I)").kind == .error)
            }
            #expect(try await owner.call(Self.unregister, id: 2, [.uint32(3)], "(I)").kind == .reply)
        }
    }

    // MARK: - Peers that do not read

    @Test func answersThatNobodyReads() async throws {
        var limits = ConnectionLimits()
        limits.maximumOutboundBytes = 4 << 20
        try await withDirectory(limits: limits) { directory, endpoint in
            var builder = ObjectBuilder()
            builder.advertiseMethod("big", "()", returns: "r") { _, _ in .raw(ByteBuffer(repeating: 1, count: 3 << 20)) }
            _ = try await directory.register(builder, as: "Big")
            try await withClient(endpoint) { client in
                try await client.stopReading()
                let big = ActionAddress(service: 2, object: 1, action: 100)
                var calls = ByteBuffer()
                for id in UInt32(1)...40 { calls.writeMessage(try .call(big, id: id)) }
                try await client.send(calls)
                // Others are served meanwhile; the stalled one is closed as its bound is reached.
                try await withClient(endpoint) { try await $0.expectAlive() }
                try await client.resumeReading()
                var answers = 0
                while await client.next() != nil { answers += 1 }
                #expect(answers < 40)
            }
        }
    }

    @Test func aSlowSubscriberLosesEventsNotTheOthers() async throws {
        var limits = ConnectionLimits()
        limits.maximumEventBacklog = 1 << 20
        // A unix socket: TCP gives up a peer that takes nothing for 30 s, and a machine that runs all tests at once may need longer.
        try await withFolder { folder in
            try await withDirectory(at: "unix:\(folder)/sd", limits: limits) { directory, endpoint in
                var builder = ObjectBuilder()
                builder.advertiseSignal("tick", "(ir)")
                let hosted = try await directory.register(builder, as: "Ticking")
                try await withClient(endpoint) { slow in
                    let subscribe = ActionAddress(service: 2, object: 1, action: WellKnownActions.registerEvent)
                    _ = try await slow.call(subscribe, id: 1, [.uint32(2), .uint32(100), .uint64(1)], "(IIL)")
                    try await slow.stopReading()
                    try await withSession(endpoint) { session in
                        let events = try await session.service("Ticking").events(of: "tick", buffer: 1)
                        let filler = QiValue.raw(ByteBuffer(repeating: 1, count: 256 << 10))
                        for number in Int32(0)..<100 {
                            try hosted.emit("tick", [.int32(number), filler])
                            #expect(await events.first()?.first == .int32(number))
                        }
                    }
                    try await slow.resumeReading()
                    var received = 0
                    // What comes after it was asked is after all events.
                    _ = try await slow.call(
                        ActionAddress(.serviceDirectory, action: WellKnownActions.machineID), id: 2, others: { _ in received += 1 })
                    #expect(received > 0 && received < 100)
                }
            }
        }
    }
}
