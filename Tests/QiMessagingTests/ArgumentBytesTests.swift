import NIOCore
@testable import QiMessaging
import QiWire
import Testing

/// Arguments that are kept until their calls are answered count in bytes.
@Suite(.timeLimit(.minutes(8))) struct ArgumentBytesTests {
    private static let lan = Subject.zone(.lan)
    /// Whoever comes to the outer door of a guarded directory.
    private static let client = Principal(.host("127.0.0.1"), zone: .lan)

    // MARK: - The meter

    @Test func onePrincipalHasSoMuchRoom() {
        let meter = ArgumentMeter(most: 1000, of: nil)
        #expect(meter.room(single: 10) == 1000)
        meter.add(600)
        #expect(meter.room(single: 10) == 400)
        // A frame of the largest size fits when it is the only one.
        #expect(meter.room(single: 5000) == 4400)
        meter.add(600)
        #expect(meter.room(single: 10) == -200)
        meter.remove(1200)
        #expect(meter.held == 0)
    }

    @Test func whatAllHaveTogetherIsBoundedAndLocksNoneOut() {
        let all = ArgumentMeter(most: 100 << 20, of: nil)
        let (greedy, modest) = (ArgumentMeter(most: 200 << 20, of: all), ArgumentMeter(most: 200 << 20, of: all))
        greedy.add(100 << 20)
        #expect(greedy.room(single: 0) == 0)
        #expect(modest.room(single: 0) == ArgumentMeter.least)
        modest.add(ArgumentMeter.least)
        #expect(modest.room(single: 0) == 0)
        greedy.remove(50 << 20)
        #expect(modest.room(single: 0) == (46 << 20))
    }

    @Test func aPrincipalHasOneMeterOnAllItsConnections() {
        let control = AccessControl(PermissionPolicy())
        let one = control.arguments(of: .stranger)
        #expect(control.arguments(of: .stranger) === one)
        #expect(control.arguments(of: .jid("nao@robots.example")) !== one)
        one.add(1 << 20)
        #expect(control.arguments(of: .jid("nao@robots.example")).room(single: 0) == ArgumentMeter.mostOfOne)
    }

    // MARK: - Connections

    @Test func callsBeyondWhatAConnectionMayHaveInFlightAreRefused() async throws {
        var limits = ConnectionLimits()
        limits.maximumPayload = 1 << 20
        limits.maximumArgumentBytes = 2 << 20
        let slow = Slow()
        try await withDirectory(limits: limits) { directory, endpoint in
            _ = try await directory.register(slow.object, as: "Slow")
            try await withClient(endpoint) { client in
                let service = try await client.lookUp("Slow")
                for id in UInt32(10)..<12 { try await client.send(Slow.call(id, service, 900_000)) }
                let refused = try await client.call(Slow.call(12, service, 900_000))
                #expect(refused.kind == .error && refused.errorText.hasPrefix("limit: "), "\(refused.errorText)")
                // What is small still goes, beyond that too: the connection may be that of many, as a gateway's is.
                try await client.send(Slow.call(14, service, 296_000))
                try await client.expectAlive()
                try await client.send(Slow.call(15, service, 4000))
                try await client.expectAlive()
                slow.letGo()
                for _ in 0..<4 {
                    let answer = try #require(await client.next())
                    #expect(answer.kind == .reply && [10, 11, 14, 15].contains(answer.id))
                }
                #expect(try await client.call(Slow.call(13, service, 900_000)).kind == .reply)
            }
        }
    }

    /// 20 MB each: the fourth is not even gathered, on whatever connection of the principal it comes.
    @Test func callsOfOnePrincipalCountOverAllItsConnections() async throws {
        let slow = Slow()
        try await GuardedDirectory.with([.of(Self.lan, allow: ["*"])], ["Slow": slow.object]) { directory in
            defer { slow.letGo() }
            let meter = directory.control.arguments(of: Self.client)
            try await withClient(directory.outside) { one in
                try await withClient(directory.outside) { two in
                    let service = try await one.lookUp("Slow")
                    _ = try await two.lookUp("Slow")
                    let size = 20_000_000
                    for (id, client) in [(UInt32(10), one), (11, two), (12, one)] {
                        try await client.send(Slow.call(id, service, size))
                        // It has arrived as a whole, and waits.
                        try await client.expectAlive()
                    }
                    #expect(meter.held >= 3 * size && meter.held <= ArgumentMeter.mostOfOne)
                    let refused = try await two.call(Slow.call(13, service, size))
                    #expect(refused.errorText.hasPrefix("limit: "), "\(refused.errorText)")
                    #expect(meter.held <= ArgumentMeter.mostOfOne)
                    slow.letGo()
                    let first = try #require(await two.next())
                    #expect(first.id == 11 && first.kind == .reply)
                    for _ in 0..<2 { #expect(await one.next()?.kind == .reply) }
                    #expect(try await two.call(Slow.call(14, service, size)).kind == .reply)
                }
            }
        }
    }

    @Test func whatAConnectionHeldIsGivenBackWithIt() async throws {
        let slow = Slow()
        try await GuardedDirectory.with([.of(Self.lan, allow: ["*"])], ["Slow": slow.object]) { directory in
            defer { slow.letGo() }
            let meter = directory.control.arguments(of: Self.client)
            try await withClient(directory.outside) { client in
                let service = try await client.lookUp("Slow")
                try await client.send(Slow.call(10, service, 1_000_000))
                try await client.expectAlive()
                #expect(meter.held == 1_000_004)
                // Half of a frame counts, too.
                var frame = ByteBuffer()
                frame.writeMessage(try Slow.call(11, service, 1_000_000))
                try await client.send(#require(frame.getSlice(at: 0, length: 500_000)))
                try await client.hangUp()
            }
            try await withClient(directory.outside) { other in
                // The method that it called goes on. The end of a connection is heard of a moment after it.
                for _ in 0..<1000 where meter.held != 1_000_004 { try await other.expectAlive() }
                #expect(meter.held == 1_000_004 && meter.calls == 1)
                slow.letGo()
                for _ in 0..<1000 where meter.calls > 0 { try await other.expectAlive() }
                #expect(meter.held == 0 && meter.calls == 0)
            }
        }
    }

    // MARK: - Calls in work

    /// The first would be answered with an Error and go on at its owner, counted by nobody.
    @Test func aSecondCallWithTheIDOfOneInFlightIsRefusedAtTheDoor() async throws {
        let slow = Slow()
        try await GuardedDirectory.with([.of(Self.lan, allow: ["*"])], ["Slow": slow.object]) { directory in
            defer { slow.letGo() }
            let meter = directory.control.arguments(of: Self.client)
            try await withClient(directory.outside) { client in
                let service = try await client.lookUp("Slow")
                try await client.send(Slow.call(10, service, 10))
                for _ in 0..<20 {
                    let refused = try await client.call(Slow.call(10, service, 10))
                    #expect(refused.errorText.contains("another call with the id 10 waits for its answer"), "\(refused.errorText)")
                }
                #expect(meter.calls == 1)
                slow.letGo()
                let answer = try #require(await client.next())
                #expect(answer.id == 10 && answer.kind == .reply)
                #expect(try await client.call(Slow.call(10, service, 10)).kind == .reply)
            }
        }
    }

    /// On all its connections, and those whose caller has gone while their methods go on.
    @Test func callsInWorkOfOnePrincipalAreBounded() async throws {
        var limits = ConnectionLimits()
        limits.maximumCallsInFlight = 5
        let slow = Slow()
        try await GuardedDirectory.with([.of(Self.lan, allow: ["*"])], ["Slow": slow.object], limits: limits) { directory in
            defer { slow.letGo() }
            let meter = directory.control.arguments(of: Self.client)
            try await withClient(directory.outside) { client in
                let service = try await client.lookUp("Slow")
                for count in 1...2 {
                    try await withClient(directory.outside) { other in
                        _ = try await other.lookUp("Slow")
                        for id in UInt32(10)..<12 { try await other.send(Slow.call(id, service, 10)) }
                        try await other.expectAlive()
                        #expect(meter.calls == 2 * count)
                        try await other.hangUp()
                    }
                }
                try await client.send(Slow.call(10, service, 10))
                try await client.send(Slow.call(11, service, 10))
                // What is refused is answered before what was asked later, which is one too many as well.
                var refused: [String] = []
                let machineID = ActionAddress(.serviceDirectory, action: WellKnownActions.machineID)
                refused.append(try await client.call(machineID, id: 12) { refused.append($0.errorText) }.errorText)
                let text = "limit: too many calls in flight on your connections (5): wait for answers"
                #expect(refused == [text, text])
                slow.letGo()
                #expect(await client.next()?.kind == .reply)
                var answer = try await client.call(Slow.call(13, service, 10))
                for id in UInt32(14)..<1000 where answer.kind == .error { answer = try await client.call(Slow.call(id, service, 10)) }
                #expect(answer.kind == .reply)
            }
        }
    }

    @Test func subscriptionsOfOnePrincipalAreBoundedOverItsConnections() async throws {
        try await GuardedDirectory.with([.of(Self.lan, allow: ["*"])], ["Arm": Arm().object]) { directory in
            let meter = directory.control.arguments(of: Self.client)
            try await withClient(directory.outside) { one in
                try await withClient(directory.outside) { two in
                    // All but three are held already.
                    for _ in 3..<ArgumentMeter.mostSubscriptions { meter.subscribed() }
                    var kinds: [MessageKind] = []
                    for client in [one, two] {
                        let object = ObjectAddress.main(ofService: try await client.lookUp("Arm"))
                        for id in UInt32(1)...2 {
                            kinds.append(
                                try await client.call(
                                    ActionAddress(object, action: WellKnownActions.registerEvent), id: 100 + id,
                                    [.uint32(object.service), .uint32(Arm.moved), .uint64(UInt64(id))], "(IIL)"
                                ).kind)
                        }
                    }
                    #expect(kinds == [.reply, .reply, .reply, .error] && meter.subscriptions == ArgumentMeter.mostSubscriptions)
                    try await one.hangUp()
                    let left = ArgumentMeter.mostSubscriptions - 2
                    for _ in 0..<1000 where meter.subscriptions > left { try await two.expectAlive() }
                    #expect(meter.subscriptions == left)
                }
            }
        }
    }

    // MARK: - Names

    /// Composing such a text takes seconds.
    @Test func namesThatNoServiceCanHaveAreRefusedUnread() async throws {
        let name = "x" + String(repeating: "\u{301}", count: 1_000_000)
        try await GuardedDirectory.with([.of(Self.lan, allow: ["*"])], ["Arm": Arm().object]) { directory in
            for door in [directory.inside, directory.outside] {
                try await withClient(door) { client in
                    let service = ActionAddress(.serviceDirectory, action: WellKnownActions.service)
                    let answer = try await client.call(service, id: 10, [.string(QiString(name))], "(s)")
                    #expect(answer.errorText.contains("no service has a name of 2000001 bytes"), "\(answer.errorText.prefix(200).utf8.count)")
                    let info = ServiceInfo(
                        name: name, serviceID: 0, machineID: "m", processID: 1, endpoints: [], sessionID: "s", objectUID: [])
                    let register = ActionAddress(.serviceDirectory, action: WellKnownActions.registerService)
                    let refused = try await client.call(register, id: 11, [info.qiValue], Signature(.tuple([ServiceInfo.signature.type])))
                    #expect(refused.kind == .error && refused.errorText.utf8.count < 1000)
                }
            }
        }
    }

    // MARK: - Before arguments are read

    /// The value behind the key is broken: who may not write never has it looked at.
    @Test func aPropertyIsJudgedByItsKeyAlone() async throws {
        let rule = PermissionRule.of(Self.lan, only: [.read: ["Arm.speed"]])
        try await GuardedDirectory.with([rule], ["Arm": Arm().object]) { directory in
            try await withClient(directory.outside) { client in
                let object = ObjectAddress.main(ofService: try await client.lookUp("Arm"))
                let address = ActionAddress(object, action: WellKnownActions.setProperty)
                for (id, key) in [(UInt32(10), QiDynamic(.string("speed"))), (11, QiDynamic(.uint32(Arm.speed)))] {
                    var payload = ByteBuffer()
                    try payload.writeQi(.dynamic(key), as: .dynamic)
                    payload.writeQiString("[[[[broken")
                    let answer = try await client.call(Message(kind: .call, id: id, address: address, payload: payload))
                    #expect(answer.errorText.hasPrefix("denied: host:127.0.0.1 may not write Arm.speed"), "\(answer.errorText)")
                }
            }
        }
    }

    @Test(arguments: [
        WellKnownActions.registerEvent, WellKnownActions.unregisterEvent, WellKnownActions.metaObject, WellKnownActions.property,
        WellKnownActions.properties,
    ])
    func genericMembersTakeNoLongArguments(_ action: UInt32) async throws {
        try await GuardedDirectory.with([.of(Self.lan, allow: ["*"])], ["Arm": Arm().object]) { directory in
            try await withClient(directory.outside) { client in
                let object = ObjectAddress.main(ofService: try await client.lookUp("Arm"))
                let payload = ByteBuffer(repeating: 0, count: 100_000)
                for flags in [MessageFlags(), .dynamicPayload] {
                    let answer = try await client.call(
                        Message(kind: .call, id: 10, address: ActionAddress(object, action: action), flags: flags, payload: payload))
                    #expect(answer.errorText.contains("100000 bytes of arguments, where 1024 are allowed"), "\(answer.errorText)")
                }
            }
        }
    }

    @Test func aKeyIsReadInEveryFormThatReachesTheReceiver() throws {
        func key(_ given: QiValue, _ signature: Signature, flags: MessageFlags) throws -> QiValue {
            var payload = ByteBuffer()
            try payload.writeQi(given, as: signature.type)
            return try payload.readFirstQiKey("(mm)", flags: flags)
        }
        let name = QiValue.string("speed")
        let value = QiValue.dynamic(.list([.int32(1)]))
        #expect(try key(.tuple([.dynamic(name), value]), "(mm)", flags: []) == name)
        #expect(try key(.tuple([.dynamic(.dynamic(name)), value]), "(mm)", flags: []) == name)
        let forms = [
            QiDynamic(signature: "(sm)", value: .tuple([name, value])), QiDynamic(signature: "(mm)", value: .tuple([.dynamic(name), value])),
            QiDynamic(signature: "[m]", value: .list([.dynamic(name), value])),
        ]
        for form in forms {
            #expect(try key(.dynamic(form), "m", flags: .dynamicPayload) == name)
        }
        #expect(throws: WireError.self) { try key(.tuple([.dynamic(.list([])), value]), "(mm)", flags: []) }
        let long = QiValue.string(String(repeating: "x", count: 5000))
        #expect(throws: WireError.self) { try key(.tuple([.dynamic(long), value]), "(mm)", flags: []) }
        #expect(throws: WireError.self) { try key(.dynamic(QiDynamic(.tuple([]))), "m", flags: .dynamicPayload) }
    }

    /// Before it has said who it is, a peer has nothing to say that is longer than its capabilities.
    @Test func beforeTheHandshakeFramesAreShort() async throws {
        try await withDirectory { _, endpoint in
            let stranger = try await RawClient(endpoint)
            var frame = ByteBuffer()
            frame.writeMessageHeader(
                MessageHeader(id: 1, payloadLength: UInt32(Capabilities.maximumBytes + 1), kind: .call, address: .authenticate))
            try await stranger.send(frame)
            await stranger.expectClosed()
        }
    }
}
