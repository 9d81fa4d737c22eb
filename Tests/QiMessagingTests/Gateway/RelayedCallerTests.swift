import NIOCore
@testable import QiMessaging
import QiWire
import Testing

/// Who a service sees behind a gateway, or behind a node that devices call: never whoever passes the call on, and nobody's invention.
@Suite(.timeLimit(.minutes(8))) struct RelayedCallerTests {
    private struct OneUser: CredentialStore {
        func proof(of credentials: Credentials) -> CredentialProof? {
            credentials == Credentials(user: "nao", token: "open-sesame") ? CredentialProof(.user("nao")) : nil
        }
        func isStillGood(_ proof: CredentialProof) -> Bool { true }
    }

    private static func caller() -> String { Caller.current.map { "\($0.principal) \($0.zone) via \($0.origin)" } ?? "nobody" }

    /// Answers who calls; keeps who posts.
    private static func who(_ posted: AsyncStream<String>.Continuation? = nil) -> ObjectBuilder {
        var builder = ObjectBuilder()
        builder.advertiseMethod("who", "()", returns: "s") { _, _ in .string(QiString(caller())) }
        builder.advertiseMethod("note", "()") { _, _ in
            posted?.yield(caller())
            return .void
        }
        builder.advertiseMethod("make", "()", returns: "o") { _, context in
            .object(try await context.host(Self.who()).reference)
        }
        return builder
    }

    private static let asUser: Capabilities = {
        var capabilities = Capabilities.ours
        capabilities["auth_user"] = QiDynamic(.string("nao"))
        capabilities["auth_token"] = QiDynamic(.string("open-sesame"))
        return capabilities
    }()

    /// What a liar says: that the call of that id is made by somebody else.
    private static func lie(of id: UInt32, _ principal: Principal = Principal(.user("nao"), zone: .lan)) -> Message {
        var payload = ByteBuffer()
        payload.writeQiUInt32(id)
        payload.writeImmutableBuffer(RelayedCaller(Caller(principal: principal, origin: .tcp(host: "10.0.0.7"))).encoded)
        return Message(kind: .post, id: 77, address: ActionAddress(.connection, action: RelayedCaller.action), payload: payload)
    }

    /// The answer of `who`, as somebody at `client` gets it.
    private static func answer(_ client: RawClient, _ service: UInt32, id: UInt32 = 21) async throws -> String {
        let answer = try await client.call(ActionAddress(.main(ofService: service), action: 100), id: id)
        #expect(answer.kind == .reply, "\(answer.errorText)")
        return try answer.value("s").asString ?? ""
    }

    /// A gateway with services of its directory, of a process of its own, and of one that only the directory reaches.
    private func withDoor(
        anonymous: Bool = false, posted: AsyncStream<String>.Continuation? = nil, _ body: (Endpoint, MortalDirectory) async throws -> Void
    ) async throws {
        try await MortalDirectory.with { directory in
            _ = try await directory.server.register(Self.who(posted), as: "InDirectory")
            try await withSession(of: directory) { host in
                try await withSession(of: directory, machineID: "another-machine") { other in
                    _ = try await host.register(Self.who(posted), as: "OfItsOwn")
                    _ = try await other.register(Self.who(posted), as: "Forwarded")
                    try await withGateway(
                        to: directory.endpoint,
                        { $0.rules.authentication = ListenerRules.Authentication(stores: [OneUser()], admitsAnonymous: anonymous) }
                    ) { gateway, endpoint in
                        try await gateway.hasJoined()
                        try await body(endpoint, directory)
                    }
                }
            }
        }
    }

    private static let services = ["InDirectory", "OfItsOwn", "Forwarded"]

    @Test func aServiceBehindAGatewaySeesWhoIsOutside() async throws {
        let (notes, posted) = AsyncStream.makeStream(of: String.self)
        var iterator = notes.makeAsyncIterator()
        try await withDoor(anonymous: true, posted: posted) { endpoint, directory in
            let nao = try await RawClient(endpoint)
            try await nao.authenticate(Self.asUser)
            for service in Self.services {
                let id = try await nao.lookUp(service)
                #expect(try await Self.answer(nao, id) == "user:nao lan via tcp 127.0.0.1", "\(service)")
                // Somebody else through the same gateway, on the connection that both share inside.
                try await withClient(endpoint) { other in
                    let there = try await other.lookUp(service)
                    #expect(try await Self.answer(other, there) == "host:127.0.0.1 lan via tcp 127.0.0.1", "\(service)")
                }
                #expect(try await Self.answer(nao, id, id: 22) == "user:nao lan via tcp 127.0.0.1", "\(service)")
                try await nao.send(Message.post(ActionAddress(.main(ofService: id), action: 101), id: 23))
                #expect(await iterator.next() == "user:nao lan via tcp 127.0.0.1", "\(service)")
            }
            try await nao.close()
            // Who comes from inside is still itself.
            try await withSession(of: directory) { inside in
                let service = try await inside.service("OfItsOwn")
                let answer: String = try await service.call("who")
                #expect(answer.hasPrefix("uid:") && answer.contains("internal"))
            }
        }
    }

    /// Objects that a service returns are reached through the gateway as it is.
    @Test func soDoObjectsThatItReturns() async throws {
        try await withDoor(anonymous: true) { endpoint, _ in
            try await withOutsider(endpoint) { outsider in
                for name in Self.services {
                    let service = try await outsider.service(name)
                    let made = try await service.call("make", arguments: [])
                    let answer: String = try await service.object(#require(made.asObject)).call("who")
                    #expect(answer == "host:127.0.0.1 lan via tcp 127.0.0.1", "\(name)")
                }
            }
        }
    }

    @Test func aServiceOfAnotherProcessSeesTheDevice() async throws {
        try await withFolder { folder in
            try await FarDevice.with { _, near, far in
                let listener = try await far.listen(at: #require(Endpoint("unix:\(folder)/sd")))
                try await withSession(listener.endpoint) { host in
                    _ = try await host.register(Self.who(), as: "Who")
                    try await withSession(near) { session in
                        let answer: String = try await session.service("pepper/Who").call("who")
                        #expect(answer == "desk@test internet via device desk@test")
                    }
                }
                await listener.close()
            }
        }
    }

    /// Nobody at a network's door is heard, at the gateway or inside.
    @Test func whoeverPretendsIsNotHeard() async throws {
        try await withDoor(anonymous: true) { endpoint, directory in
            let plain = try await directory.server.listen(at: #require(Endpoint("tcp://127.0.0.1:0")))
            for (door, expected) in [(endpoint, "host:127.0.0.1 lan via tcp 127.0.0.1"), (plain.endpoint, "host:127.0.0.1 internal via tcp 127.0.0.1")] {
                let liar = try await RawClient(door)
                var capabilities = Capabilities.ours
                capabilities[RelayedCaller.capability] = QiDynamic(.bool(true))
                try await liar.authenticate(capabilities)
                let id = try await liar.lookUp("InDirectory")
                try await liar.send(Self.lie(of: 21))
                #expect(try await Self.answer(liar, id) == expected)
                try await liar.close()
            }
            await plain.close()
        }
    }

    /// A process of this user is believed of the call it names, and of no other; what cannot be read ends its connection.
    @Test func aProcessOfThisUserIsBelieved() async throws {
        try await withDoor { _, directory in
            try await withClient(directory.endpoint) { gateway in
                let id = try await gateway.lookUp("InDirectory")
                try await gateway.send(Self.lie(of: 21))
                #expect(try await Self.answer(gateway, id) == "user:nao lan via tcp 10.0.0.7")
                #expect(try await Self.answer(gateway, id).hasPrefix("uid:"), "once")
                try await gateway.send(Self.lie(of: 22))
                #expect(try await Self.answer(gateway, id, id: 23).hasPrefix("uid:"), "another call")
                #expect(try await Self.answer(gateway, id, id: 22).hasPrefix("uid:"), "too late")
            }
            let long = String(repeating: "x", count: RelayedCaller.maximumBytes)
            for principal in [Principal(.user("nao"), zone: .internal), Principal(.user(long), zone: .lan)] {
                let client = try await RawClient(directory.endpoint)
                try await client.authenticate()
                try await client.send(Self.lie(of: 21, principal))
                await client.expectClosed()
            }
        }
    }

    /// As libqi is: it says nothing of the capability.
    @Test func whoeverDoesNotKnowItIsToldNothing() async throws {
        try await MortalDirectory.with { directory in
            try await withClient(directory.endpoint) { service in
                let info = ServiceInfo(
                    name: "Old", serviceID: 0, machineID: "another-machine", processID: 1, endpoints: ["tcp://127.0.0.1:9"], sessionID: "s",
                    objectUID: [])
                let register = ActionAddress(.serviceDirectory, action: WellKnownActions.registerService)
                let answer = try await service.call(register, id: 7, [info.qiValue], Signature(.tuple([ServiceInfo.signature.type])))
                let id = try #require(try answer.value("I").asUInt32)
                _ = try await service.call(ActionAddress(.serviceDirectory, action: WellKnownActions.serviceReady), id: 8, [.uint32(id)], "(I)")
                try await withGateway(to: directory.endpoint) { gateway, endpoint in
                    try await gateway.hasJoined()
                    try await withClient(endpoint) { client in
                        async let found = client.lookUp("Old")
                        let asked = try #require(await service.next())
                        #expect(asked.kind == .call && asked.address.action == WellKnownActions.metaObject)
                        var builder = ObjectBuilder()
                        builder.advertiseMethod("who", "()", returns: "s") { _, _ in .void }
                        var description = ByteBuffer()
                        try description.writeQi(builder.makeObject().metaObject.qiValue, as: MetaObject.signature.type)
                        try await service.send(asked.answer(.reply, payload: description))
                        try await client.send(.call(ActionAddress(.main(ofService: found), action: 100), id: 9))
                        let called = try #require(await service.next())
                        #expect(called.kind == .call && called.address.action == 100)
                    }
                }
            }
        }
    }

    @Test(arguments: [
        Caller(principal: Principal(.host("10.0.0.7"), zone: .lan), origin: .tcp(host: "10.0.0.7")),
        Caller(principal: Principal(.user("nao"), zone: .internet), origin: .tls(host: "2001:db8::1", fingerprint: nil)),
        Caller(principal: Principal(.certificate("9f"), zone: .lan, fingerprint: "9f"), origin: .tls(host: "h", fingerprint: "9f")),
        Caller(principal: Principal(.app("choregraphe"), zone: .internet), origin: .tcp(host: "h")),
        Caller(principal: Principal(.device("op@lab.example"), zone: .internet, fingerprint: "9f"), origin: .device(name: "op@lab.example")),
        Caller(principal: Principal(.process(uid: 1000), zone: .lan), origin: .unix(uid: 1000)),
        Caller(principal: Principal(.process(uid: nil), zone: .lan), origin: .process),
        Caller(principal: Principal(.host("h"), zone: .internet), origin: ConnectionOrigin(by: PathKind("trial"), from: "h")),
        Caller(principal: Principal(.user("nao"), zone: .internet), origin: ConnectionOrigin(by: PathKind("trial"))),
        Caller(principal: "op@lab.example", origin: .device(name: "op@lab.example", by: PathKind("trial"))),
    ])
    func isReadAsItWasWritten(_ caller: Caller) throws {
        let written = RelayedCaller(caller)
        #expect(try RelayedCaller(reading: written.encoded).caller == caller)
        for length in 0..<written.encoded.readableBytes {
            let cut = try #require(written.encoded.getSlice(at: written.encoded.readerIndex, length: length))
            #expect(throws: WireError.self) { try RelayedCaller(reading: cut) }
        }
        var longer = written.encoded
        longer.writeInteger(UInt8(0))
        #expect(throws: WireError.self) { try RelayedCaller(reading: longer) }
    }

    /// Those know five ways, and read a third word only with `tls`.
    @Test(arguments: [
        (ConnectionOrigin(by: PathKind("trial"), from: "h"), ["tcp", "h", "trial"]),
        (ConnectionOrigin(by: PathKind("trial"), proven: .certificate("9f")), ["tcp", "", "trial"]),
        (.device(name: "op@lab.example", by: PathKind("trial")), ["device", "op@lab.example", "trial"]),
    ])
    func aNewWayIsToldInWordsThatEarlierNodesRead(_ origin: ConnectionOrigin, _ words: [String]) throws {
        var rest = RelayedCaller(Caller(principal: .stranger, origin: origin)).encoded
        for _ in 0..<4 { _ = try rest.readQiString() }
        #expect(try (0..<3).map { _ in try rest.readQiString().lossyText } == words && rest.readableBytes == 0)
    }
}
