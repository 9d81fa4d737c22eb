import NIOCore
@testable import QiMessaging
import QiWire
import Testing

/// What passes a relay, and what must not.
@Suite(.timeLimit(.minutes(8))) struct RelayTests {
    private static let said: UInt32 = 100
    private static let say: UInt32 = 101
    private static let make: UInt32 = 102
    private static let made: UInt32 = 103

    /// Emits on request, values and objects.
    private static var speaker: ObjectBuilder {
        var builder = ObjectBuilder()
        let said = builder.advertiseSignal("said", "(s)")
        let say = builder.advertiseMethod("say", "(s)") { arguments, context in
            try context.object.emit("said", arguments)
            return .void
        }
        let make = builder.advertiseMethod("make", "()") { _, context in
            var child = ObjectBuilder()
            child.advertiseMethod("name", "()", returns: "s") { _, _ in .string("child") }
            try context.object.emit("made", [.object(try await context.host(child).reference)])
            return .void
        }
        let made = builder.advertiseSignal("made", "(o)")
        #expect([said, say, make, made] == [Self.said, Self.say, Self.make, Self.made])
        return builder
    }

    private static func say(_ text: QiString, to speaker: ObjectAddress, over client: RawClient) async throws {
        let answer = try await client.call(ActionAddress(speaker, action: say), id: 7, [.string(text)], "(s)")
        #expect(answer.kind == .reply, "\(answer.errorText)")
    }

    private static func nextEvent(_ client: RawClient) async throws -> Message {
        while let message = await client.next() { if message.kind == .event { return message } }
        throw QiError(.disconnected, "no event came")
    }

    /// The owner's word comes between the proof of who answers and the first look-up there.
    @Test func aDeviceThatIsDeniedWhileItsTunnelIsSetUpGetsNoTunnel() async throws {
        try await FarDevice.withDevice(["Speaker": Self.speaker]) { near, endpoint, device in
            let directory = near.directory
            device.whenVerified { directory.value.gateway?.drop(FarDevice.address, QiError(.denied, "not a contact any more")) }
            try await withSession(endpoint) { session in
                let error = await #expect(throws: QiError.self) { _ = try await session.service("pepper/Speaker") }
                let message = try #require(error?.message)
                #expect(message.contains("not a contact any more"), "\(message)")
            }
            let links = try await near.deviceLinks()
            #expect(links.outgoing.map(\.isUp) == [false])
            #expect(links.outgoing.map(\.services) == [0])
        }
    }

    @Test func postsToGenericMembersNeverReachTheOwner() async throws {
        try await FarDevice.with(["Speaker": Self.speaker]) { _, endpoint, _ in
            try await withClient(endpoint) { listener in
                let speaker = ObjectAddress.main(ofService: try await listener.lookUp("pepper/Speaker"))
                try await listener.subscribe(to: Self.said, of: speaker, link: 1)
                try await withClient(endpoint) { stranger in
                    let own = ObjectAddress.main(ofService: try await stranger.lookUp("pepper/Speaker"))
                    for (action, link) in [(WellKnownActions.registerEvent, 900), (WellKnownActions.unregisterEvent, 1), (WellKnownActions.unregisterEvent, 2)] {
                        let post = try Message.post(
                            ActionAddress(own, action: action), id: 8, [.uint32(0), .uint32(Self.said), .uint64(UInt64(link))], "(IIL)")
                        try await stranger.send(post)
                    }
                    try await stranger.expectAlive()
                    for text: QiString in ["one", "two"] { try await Self.say(text, to: own, over: stranger) }
                }
                for text in ["one", "two"] {
                    #expect(try await Self.nextEvent(listener).value("(s)") == .tuple([.string(QiString(text))]))
                }
                #expect(try await listener.eventsUntilAnswer().isEmpty)
            }
        }
    }

    /// Its unconfirmed subscription must not be left with the owner, or the next listener gets every event twice.
    @Test func aListenerThatLeavesAtOnceLeavesNothingBehind() async throws {
        try await FarDevice.with(["Speaker": Self.speaker]) { near, endpoint, _ in
            for round in 0..<20 {
                try await withClient(endpoint) { hasty in
                    let speaker = ObjectAddress.main(ofService: try await hasty.lookUp("pepper/Speaker"))
                    try await hasty.send(
                        .call(ActionAddress(speaker, action: WellKnownActions.registerEvent), id: 9, [.uint32(0), .uint32(Self.said), .uint64(5)], "(IIL)"))
                }
                try await withClient(endpoint) { listener in
                    let speaker = ObjectAddress.main(ofService: try await listener.lookUp("pepper/Speaker"))
                    try await listener.subscribe(to: Self.said, of: speaker, link: 1)
                    // Over a connection of its own: an event may come before the answer.
                    try await withClient(endpoint) { caller in
                        let speaker = ObjectAddress.main(ofService: try await caller.lookUp("pepper/Speaker"))
                        for text in ["\(round)", "end"] { try await Self.say(QiString(text), to: speaker, over: caller) }
                    }
                    var texts: [QiValue] = []
                    repeat { texts.append(try await Self.nextEvent(listener).value("(s)")) } while texts.last != .tuple([.string("end")])
                    #expect(texts.count == 2)
                }
            }
        }
    }

    /// An object in an event goes to all who listen; one that lets it go takes it from nobody else.
    @Test func anEmittedObjectLivesUntilItsLastHolderLetsGo() async throws {
        try await FarDevice.with(["Speaker": Self.speaker]) { _, endpoint, _ in
            try await withClient(endpoint) { one in
                try await withClient(endpoint) { two in
                    var held: [ObjectReference] = []
                    var speaker = ObjectAddress.connection
                    for client in [one, two] {
                        speaker = .main(ofService: try await client.lookUp("pepper/Speaker"))
                        try await client.subscribe(to: Self.made, of: speaker, link: 1)
                    }
                    let call = try Message.post(ActionAddress(speaker, action: Self.make), id: 10)
                    try await one.send(call)
                    for client in [one, two] {
                        guard case .tuple(let members) = try await Self.nextEvent(client).value("(o)"), case .object(let reference)? = members.first
                        else { throw QiError(.invalid, "no object came") }
                        held.append(reference)
                    }
                    let terminate = ActionAddress(held[0].address, action: WellKnownActions.terminate)
                    #expect(try await one.call(terminate, id: 11, [.uint32(0)], "(I)").kind == .reply)
                    try await one.expectAlive()
                    // Behind the release on the tunnel, if there was one.
                    try await Self.say("x", to: speaker, over: one)
                    let name = try await two.call(ActionAddress(held[1].address, action: 100), id: 12)
                    #expect(name.kind == .reply, "\(name.errorText)")
                }
            }
        }
    }

    @Test func whatIsNoContactAnyMoreIsTakenFromItsClients() async throws {
        try await FarDevice.with(["Speaker": Self.speaker]) { near, endpoint, _ in
            try await withClient(endpoint) { client in
                try await client.subscribe(to: WellKnownActions.serviceRemoved, of: .serviceDirectory, link: 1)
                let ids = [try await client.lookUp("pepper/Speaker"), try await client.lookUp("\(FarDevice.address)/Speaker", id: 3)]
                #expect(Set(ids).count == 2)
                near.dropDevice(FarDevice.address, QiError(.denied, "no contact any more"))
                var removed: Set<UInt32> = []
                for _ in ids { removed.insert(try await Self.nextEvent(client).payload.idAndName?.0 ?? 0) }
                #expect(removed == Set(ids))
                #expect(try await near.deviceLinks().outgoing.map(\.services) == [0])
            }
        }
    }

    @Test func aLookUpWhoseAskerIsGoneIsForgotten() async throws {
        try await FarDevice.with(["Speaker": Self.speaker]) { near, endpoint, _ in
            let gone = try await RawClient(endpoint)
            try await gone.authenticate()
            try await gone.send(.call(ActionAddress(.serviceDirectory, action: WellKnownActions.service), id: 1, [.string("pepper/Speaker")], "(s)"))
            try await gone.close()
            // Its answer comes with, or after, the one to the asker that is gone.
            try await withClient(endpoint) { client in _ = try await client.lookUp("pepper@test/Speaker") }
            try await withClient(endpoint) { client in
                for _ in 0..<1000 {
                    if try await near.deviceLinks().outgoing.map(\.services) == [0] { return }
                    try await client.expectAlive()
                }
                Issue.record("a service is in use though nobody uses it")
            }
        }
    }

    /// 100 at a time, by both its names: one answer each, one id for each name.
    @Test func manyLookUpsAtOnceAgree() async throws {
        try await FarDevice.with(["Speaker": Self.speaker]) { _, endpoint, _ in
            try await withClient(endpoint) { client in
                let action = ActionAddress(.serviceDirectory, action: WellKnownActions.service)
                for id in UInt32(1)...100 {
                    let name: QiString = id % 2 == 0 ? "pepper/Speaker" : "pepper@test/Speaker"
                    try await client.send(.call(action, id: id, [.string(name)], "(s)"))
                }
                var ids: [UInt32: Set<UInt32>] = [:]
                var answered: Set<UInt32> = []
                while answered.count < 100, let answer = await client.next() {
                    #expect(answered.insert(answer.id).inserted)
                    ids[answer.id % 2, default: []].insert(try ServiceInfo(qiValue: answer.value(ServiceInfo.signature)).serviceID)
                }
                #expect(ids.values.map(\.count) == [1, 1])
                #expect(ids[0] != ids[1])
            }
        }
    }

    @Test func aPeerCannotSpeakForTheDirectory() async throws {
        try await withDirectory { _, endpoint in
            try await withClient(endpoint) { client in
                try await client.subscribe(to: WellKnownActions.serviceRemoved, of: .serviceDirectory, link: 1)
                let post = try Message.post(
                    ActionAddress(.serviceDirectory, action: WellKnownActions.serviceRemoved), id: 2, [.uint32(2), .string("X")], "(Is)")
                try await client.send(post)
                #expect(try await client.eventsUntilAnswer().isEmpty)
            }
        }
    }

    @Test func whoTakesTheNameOfAPrivateServiceIsNotTakenForIt() async throws {
        try await withFolder { folder in
            try await withDirectory { directory, tcp in
                let socket = try await directory.listen(at: #require(Endpoint("unix:\(folder)/socket")))
                try await directory.registerPrivate(Self.speaker, as: "Control")
                _ = try await directory.register(ObjectBuilder(), as: "Control")
                let here = try await withClient(socket.endpoint) { try await $0.lookUp("Control") }
                let there = try await withClient(tcp) { try await $0.lookUp("Control") }
                // The ids of private services, and those of registered ones.
                #expect(LookUpIDs.firstHidden..<LookUpIDs.end ~= here)
                #expect(there < ServiceIDs.end)
                await socket.close()
            }
        }
    }
}
