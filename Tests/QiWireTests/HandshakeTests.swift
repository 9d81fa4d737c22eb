import NIOCore
import QiWire
import Testing

/// The rules of reference §10 as tables of messages and decisions.
@Suite struct HandshakeTests {
    static func map(_ capabilities: Capabilities) throws -> ByteBuffer {
        var buffer = ByteBuffer()
        try capabilities.write(to: &buffer)
        return buffer
    }

    static func message(
        _ kind: MessageKind, _ address: ActionAddress, _ payload: ByteBuffer = ByteBuffer(), flags: MessageFlags = []
    ) -> Message {
        Message(kind: kind, id: 9, address: address, flags: flags, payload: payload)
    }

    static func errorPayload(_ text: String) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeErrorPayload(text)
        return buffer
    }

    static let capabilityAddress = ActionAddress(service: 0, object: 0, action: 0)
    static let elsewhere = ActionAddress(service: 1, object: 1, action: 101)

    // MARK: Client

    private func waitingClient() throws -> Handshake {
        var machine = Handshake(role: .client)
        _ = try machine.start()
        return machine
    }

    @Test func theFirstMessageIsLibqis() throws {
        let recorded = try Vectors.message(try #require(try Vectors.frames("a1_handshake_services")[0].hex))
        var machine = Handshake(role: .client)
        #expect(machine.received(recorded) == .ignore, "before start nothing is expected")
        #expect(try machine.start() == recorded.payload)
        #expect(!machine.isOpen)
    }

    @Test(arguments: Vectors.conversations)
    func aRecordedAnswerOpens(_ name: String) throws {
        let frames = try Vectors.frames(name).filter { $0.header?["service"] == 0 && $0.header?["action"] == 8 }
        for frame in frames where frame.type == "Reply" {
            var machine = try waitingClient()
            guard case .ready(let remote) = machine.received(try Vectors.message(try #require(frame.hex))) else {
                Issue.record("not ready")
                continue
            }
            #expect(machine.isOpen)
            #expect(remote.authenticationState == .done)
            #expect(machine.shared.messageFlags && machine.shared.remoteCancelableCalls)
            #expect(machine.shared.objectCoding == (name.hasPrefix("j_") ? .plain : .standard), "we offer no cache")
        }
    }

    @Test func anyIntegerTypeOfStateIsTaken() throws {
        for state in [QiValue.int32(3), .uint8(3), .int64(3), .dynamic(.uint32(3))] {
            var reply = Capabilities()
            reply[Capabilities.Name.authenticationState] = QiDynamic(signature: Signature(state.inferredType), value: state)
            var machine = try waitingClient()
            guard case .ready(let remote) = machine.received(Self.message(.reply, .authenticate, try Self.map(reply))) else {
                Issue.record("\(state) was not taken")
                continue
            }
            #expect(remote.authenticationState == .done && remote.entries.count == 1)
            #expect(machine.shared == .none)
        }
    }

    @Test func neitherIdNorObjectOfTheAnswerCount() throws {
        var machine = try waitingClient()
        let address = ActionAddress(service: 0, object: 77, action: 8)
        #expect(
            machine.received(Self.message(.reply, address, try Self.map(Capabilities().with(.done))))
                == .ready(Capabilities().with(.done)))
    }

    /// A client of libqi reads what libqi would say.
    @Test(arguments: [false, true]) func aServerTellsOfEventGapsOnlyToAClientThatKnowsThem(_ knows: Bool) throws {
        var own = Capabilities.ours
        own[Capabilities.Name.eventGaps] = QiDynamic(.bool(true))
        let client = knows ? own : .ours
        func payload(of action: Handshake.OnMessage) -> ByteBuffer? { if case .reply(let payload) = action { payload } else { nil } }
        for enforces in [false, true] {
            var machine = Handshake(role: .server, capabilities: own, enforcesAuthentication: enforces)
            let action = machine.received(Self.message(.call, .authenticate, try Self.map(client)))
            let answer = enforces ? try machine.accept() : payload(of: action)
            #expect(answer == (try Self.map(client.with(.done))))
            #expect(machine.shared.eventGaps == knows)
        }
    }

    @Test func anAnswerMayBeDynamic() throws {
        let capabilities = Capabilities.ours.with(.done)
        var plain = try Self.map(capabilities)
        var payload = ByteBuffer()
        payload.writeQiString("{sm}")
        payload.writeBuffer(&plain)
        var machine = try waitingClient()
        #expect(machine.received(Self.message(.reply, .authenticate, payload, flags: .dynamicPayload)) == .ready(capabilities))
    }

    @Test(arguments: ["can't find service, address: {0.0.8, id:1}", Handshake.notHandled])
    func peerOfBeforeAuthenticationIsSpokenTo(text: String) throws {
        var machine = try waitingClient()
        guard case .openBySendingCapabilities(var payload) = machine.received(Self.message(.error, .authenticate, Self.errorPayload(text)))
        else {
            Issue.record("the connection is not open")
            return
        }
        #expect(machine.isOpen && machine.shared == .none)
        #expect(try Capabilities(reading: &payload) == .ours)
        // It has no service 0 for that message either, and says so.
        #expect(machine.received(Self.message(.error, Self.capabilityAddress, Self.errorPayload(text))) == .ignore)
    }

    @Test func credentialsAreNotLeftOutForPeerOfBeforeAuthentication() throws {
        var login = Capabilities()
        login[Capabilities.Name.credentialPrefix + "user"] = QiDynamic(.string("nao"))
        var machine = Handshake(role: .client, credentials: login)
        _ = try machine.start()
        let answer = machine.received(Self.message(.error, .authenticate, Self.errorPayload("can't find service, address: {0.0.8}")))
        guard case .fail(let error) = answer else {
            Issue.record("\(answer)")
            return
        }
        #expect(error.message.contains("can't find service"))
    }

    @Test func answersThatFail() throws {
        var refused = Capabilities()
        refused[Capabilities.Name.authenticationState] = QiDynamic(.uint32(1))
        refused[Capabilities.Name.authenticationErrorReason] = QiDynamic(.string("bad password"))
        var strange = Capabilities()
        strange[Capabilities.Name.authenticationState] = QiDynamic(.uint32(4))
        var text = Capabilities()
        text[Capabilities.Name.authenticationState] = QiDynamic(.string("3"))
        let rows: [(Message, String)] = [
            (Self.message(.reply, .authenticate, try Self.map(refused)), "bad password"),
            (Self.message(.reply, .authenticate, try Self.map(Capabilities().with(.error))), "no reason"),
            (Self.message(.reply, .authenticate, try Self.map(Capabilities().with(.proceed))), "another round"),
            (Self.message(.reply, .authenticate, try Self.map(Capabilities())), "Invalid authentication state token"),
            (Self.message(.reply, .authenticate, try Self.map(strange)), "Invalid authentication state token"),
            (Self.message(.reply, .authenticate, try Self.map(text)), "Invalid authentication state token"),
            (Self.message(.reply, .authenticate, bytes("ffffffff")), "cannot be read"),
            (Self.message(.reply, .authenticate), "cannot be read"),
            (Self.message(.error, .authenticate, Self.errorPayload("go away")), "go away"),
            (Self.message(.error, .authenticate), "could not be read"),
            (Self.message(.capability, Self.capabilityAddress, bytes("ffffffff")), "cannot be read"),
        ]
        for (message, text) in rows {
            var machine = try waitingClient()
            guard case .fail(let error) = machine.received(message) else {
                Issue.record("\(text) did not fail")
                continue
            }
            #expect(error.code == .handshake)
            #expect(error.message.contains(text), "\(error)")
            #expect(!machine.isOpen)
            // Nothing mends a failed handshake.
            guard case .fail = machine.received(Self.message(.reply, .authenticate, try Self.map(Capabilities().with(.done))))
            else {
                Issue.record("a failed handshake went on")
                continue
            }
            #expect(machine.received(Self.message(.capability, Self.capabilityAddress, try Self.map(.ours))) == .ignore)
        }
    }

    @Test func capabilitiesBeforeTheAnswerAreRecorded() throws {
        var machine = try waitingClient()
        #expect(machine.received(Self.message(.capability, Self.capabilityAddress, try Self.map(.ours))) == .record)
        #expect(!machine.isOpen)
        #expect(machine.shared.messageFlags)
        // The first value for a key stays.
        let later = Capabilities([Capabilities.Name.messageFlags: false, Capabilities.Name.sharedMemory: true, "New": true])
        guard case .ready(let remote) = machine.received(Self.message(.reply, .authenticate, try Self.map(later.with(.done))))
        else {
            Issue.record("not ready")
            return
        }
        #expect(remote.isEnabled(Capabilities.Name.messageFlags) && remote.isEnabled(Capabilities.Name.sharedMemory))
        #expect(remote["New"] == nil, "a key without a meaning is not kept")
        #expect(machine.shared.messageFlags)
    }

    @Test func anotherFirstMessageOpensWithOurCapabilities() throws {
        for message in [
            Self.message(.event, Self.elsewhere), Self.message(.reply, Self.elsewhere), Self.message(.event, .authenticate),
        ] {
            var machine = try waitingClient()
            #expect(machine.received(message) == .openBySendingCapabilities(try Self.map(.ours)))
            #expect(machine.isOpen)
        }
    }

    @Test func credentialsTravelWithTheCapabilities() throws {
        let frame = try #require(try Vectors.frames("k_auth_credentials").first)
        var recorded = try Vectors.message(try #require(frame.hex)).payload
        let map = try Capabilities(reading: &recorded)
        #expect(map.credentials.keys.sorted() == ["token", "user"])
        var credentials = Capabilities()
        for (name, value) in map.credentials { credentials["auth_\(name)"] = value }
        var machine = Handshake(role: .client, credentials: credentials)
        var payload = try machine.start()
        let sent = try Capabilities(reading: &payload)
        #expect(Set(sent.entries) == Set(map.entries))
    }

    // MARK: Server

    @Test func theServersAnswersAreLibqis() throws {
        // The probes' connections that begin unauthenticated, replayed: same kinds, same bytes.
        let replayed = [
            "authenticate with an empty map", "authenticate again on the same socket: no capabilities the second time",
            "authenticate addressed to object 1 instead of 0", "call without authentication",
            "any other message to service 0 object 0 before authentication: the server answers with its capabilities and accepts the socket",
            "a Capability message alone does not open the socket", "authenticate with an undecodable payload",
        ]
        let probes = try Vectors.probes().filter { replayed.contains($0.title) }
        #expect(probes.count == replayed.count)
        var machines: [Int: Handshake] = [:]
        for probe in probes {
            var machine = machines[probe.connection] ?? Handshake(role: .server)
            var answers: [String] = []
            var closed = false
            for sent in probe.sent {
                let message = try Vectors.message(sent)
                switch machine.received(message) {
                case .reply(let payload): answers.append(message.answer(.reply, payload: payload).frameHex)
                case .refuse(let payload): answers.append(message.answer(.error, payload: payload).frameHex)
                case .openBySendingCapabilities(let payload):
                    // The id is the sender's own.
                    let id = try Vectors.message(try #require(probe.received.first?.hex)).id
                    answers.append(Message(kind: .capability, id: id, address: Self.capabilityAddress, payload: payload).frameHex)
                case .fail: closed = true
                case .record, .ignore, .pass, .ready, .judge, .refuseAndFail: break
                }
            }
            #expect(answers == probe.received.compactMap(\.hex), "\(probe.title)")
            #expect(closed == (probe.closed ?? false), "\(probe.title)")
            machines[probe.connection] = machine
        }
    }

    @Test func aServerThatWaits() throws {
        let refusal = Handshake.OnMessage.refuse(Self.errorPayload(Handshake.notHandled))
        let rows: [(Message, Handshake.OnMessage, Bool)] = [
            (Self.message(.call, .authenticate, try Self.map(.ours)), .reply(try Self.map(Capabilities.ours.with(.done))), true),
            (
                Self.message(.call, .authenticate, try Self.map(Capabilities())),
                .reply(try Self.map(Capabilities.ours.with(.done))), true
            ),
            (Self.message(.call, Self.elsewhere), refusal, false), (Self.message(.post, Self.elsewhere), .ignore, false),
            (Self.message(.event, Self.elsewhere), .ignore, false), (Self.message(.cancel, Self.elsewhere), .ignore, false),
            (Self.message(.call, ActionAddress(service: 0, object: 1, action: 8)), refusal, false),
            (
                Self.message(.call, ActionAddress(service: 0, object: 0, action: 4)),
                .openBySendingCapabilities(try Self.map(.ours)), true
            ),
            (Self.message(.post, .authenticate), .openBySendingCapabilities(try Self.map(.ours)), true),
            (Self.message(.capability, Self.capabilityAddress, try Self.map(.ours)), .record, false),
        ]
        for (message, expected, opens) in rows {
            var machine = Handshake(role: .server)
            #expect(machine.received(message) == expected)
            #expect(machine.isOpen == opens)
        }
    }

    @Test func aServerThatIsOpen() throws {
        var machine = Handshake(role: .server)
        _ = machine.received(Self.message(.call, .authenticate, try Self.map(.ours)))
        #expect(machine.shared.objectPtrUID)
        #expect(machine.received(Self.message(.call, Self.elsewhere)) == .pass)
        #expect(machine.received(Self.message(.event, Self.elsewhere)) == .pass)
        #expect(
            machine.received(Self.message(.call, .authenticate, try Self.map(.ours)))
                == .reply(try Self.map(Capabilities().with(.done))))
        let later = Capabilities([Capabilities.Name.sharedMemory: true, "New": true])
        #expect(machine.received(Self.message(.capability, Self.capabilityAddress, try Self.map(later))) == .record)
        #expect(machine.remoteCapabilities.isEnabled(Capabilities.Name.sharedMemory))
        #expect(machine.remoteCapabilities["New"] == nil)
        #expect(machine.received(Self.message(.reply, .authenticate)) == .ignore)
        guard case .refuse = machine.received(Self.message(.call, ActionAddress(service: 0, object: 0, action: 5))) else {
            Issue.record("0.0.5 is nobody's")
            return
        }
    }

    @Test func aServerAnswersAuthenticateAlsoAfterOpeningOtherwise() throws {
        var machine = Handshake(role: .server)
        _ = machine.received(Self.message(.call, ActionAddress(service: 0, object: 0, action: 4)))
        #expect(
            machine.received(Self.message(.call, .authenticate, try Self.map(.ours)))
                == .reply(try Self.map(Capabilities().with(.done))))
    }

    @Test func mapsBeyondTheLimitsFail() throws {
        var many = Capabilities()
        for index in 0...Capabilities.maximumEntries { many["key \(index)"] = QiDynamic(.bool(true)) }
        var long = Capabilities()
        long["key"] = QiDynamic(.string(String(repeating: "x", count: Capabilities.maximumBytes)))
        var text = Capabilities()
        text["auth_user"] = QiDynamic(.string(String(repeating: "x", count: Capabilities.maximumTextBytes + 1)))
        for flood in [many, long, text] {
            var machine = Handshake(role: .server)
            guard case .fail = machine.received(Self.message(.call, .authenticate, try Self.map(flood))) else {
                Issue.record("a flood was accepted")
                continue
            }
        }
    }

    @Test(arguments: [
        QiValue.void, .list([]), .list([.bool(true)]), .tuple([]), .map([]), .optional(.bool(true)), .raw(ByteBuffer()), .object(.null),
        .dynamic(.tuple([.int32(1)])),
    ])
    func aCapabilityThatIsNoScalarFails(_ value: QiValue) throws {
        // Of a key that counts, and of one that is dropped anyway.
        for name in [Capabilities.Name.messageFlags, "New"] {
            var map = Capabilities()
            map[name] = QiDynamic(signature: Signature(value.inferredType), value: value)
            var machine = Handshake(role: .server)
            guard case .fail(let error) = machine.received(Self.message(.call, .authenticate, try Self.map(map))) else {
                Issue.record("\(value) was accepted")
                continue
            }
            #expect(error.message.contains("a bool, a number or a text"), "\(error)")
        }
    }

    @Test(arguments: [Handshake.Role.client, .server])
    func onlyOneCapabilityMessageMayComeBeforeTheHandshake(_ role: Handshake.Role) throws {
        for enforces in [false, true] where role == .server || !enforces {
            var machine = Handshake(role: role, enforcesAuthentication: enforces)
            if role == .client { _ = try machine.start() }
            let message = Self.message(.capability, Self.capabilityAddress, try Self.map(.ours))
            #expect(machine.received(message) == .record)
            guard case .fail(let error) = machine.received(message) else {
                Issue.record("a second one was taken")
                continue
            }
            #expect(error.message.contains("twice"))
        }
    }

    @Test func callsThatAreNotServedAreCounted() throws {
        var machine = Handshake(role: .server)
        let call = Self.message(.call, Self.elsewhere)
        for _ in 0..<Handshake.maximumRefused { #expect(machine.received(call) == .refuse(Self.errorPayload(Handshake.notHandled))) }
        guard case .fail = machine.received(call) else {
            Issue.record("it may go on for ever")
            return
        }
    }

    @Test(arguments: [MessageKind.call, .capability])
    func mapsAreCountedOnceOpen(_ kind: MessageKind) throws {
        var machine = Handshake(role: .server)
        _ = machine.received(Self.message(.call, .authenticate, try Self.map(.ours)))
        let again = Self.message(kind, kind == .call ? .authenticate : Self.capabilityAddress, try Self.map(.ours))
        for _ in 0..<Handshake.maximumRepeated {
            if case .fail(let error) = machine.received(again) { Issue.record("\(error)") }
        }
        guard case .fail = machine.received(again) else {
            Issue.record("it may go on for ever")
            return
        }
    }

    @Test func anEnforcingServerJudges() throws {
        var credentials = Capabilities.ours
        credentials["auth_user"] = QiDynamic(.string("nao"))
        let authenticate = Self.message(.call, .authenticate, try Self.map(credentials))

        var machine = Handshake(role: .server, enforcesAuthentication: true)
        #expect(machine.received(authenticate) == .judge(credentials))
        #expect(!machine.isOpen && machine.shared.messageFlags)
        #expect(machine.remoteCapabilities.credentials.isEmpty, "a server keeps no secrets")
        var extra = Capabilities()
        extra["auth_newToken"] = QiDynamic(.string("t"))
        var payload = try machine.accept(adding: extra)
        let reply = try Capabilities(reading: &payload)
        #expect(machine.isOpen && reply.authenticationState == .done && reply.credentials["newToken"] == QiDynamic(.string("t")))

        machine = Handshake(role: .server, enforcesAuthentication: true)
        _ = machine.received(authenticate)
        var refusal = machine.reject(reason: "unknown user")
        #expect(refusal.readErrorPayload() == "Authentication failed: unknown user")
        guard case .fail = machine.received(authenticate) else {
            Issue.record("a rejected peer tried again")
            return
        }
    }

    @Test(arguments: [
        (MessageKind.call, elsewhere), (.call, ActionAddress(service: 0, object: 0, action: 4)), (.post, .authenticate),
        (.event, elsewhere),
    ])
    func anEnforcingServerServesNothingElse(_ kind: MessageKind, _ address: ActionAddress) {
        var machine = Handshake(role: .server, enforcesAuthentication: true)
        guard case .refuseAndFail(var payload, let error) = machine.received(Self.message(kind, address)) else {
            Issue.record("served before authentication")
            return
        }
        #expect(error.code == .handshake)
        #expect(
            payload.readErrorPayload().hasPrefix(
                "Expected authentication (service #0, type #1, action #8), received (service #\(address.service)"))
        #expect(!machine.isOpen)
    }

    @Test(
        arguments: [
            (true, true, true), (true, false, false), (false, true, false), (false, false, false), (true, nil, false),
            (nil, true, false),
        ] as [(Bool?, Bool?, Bool)])
    func sharing(_ mine: Bool?, _ other: Bool?, _ shared: Bool) {
        var left = Capabilities()
        var right = Capabilities()
        left[Capabilities.Name.metaObjectCache] = mine.map { QiDynamic(.bool($0)) }
        right[Capabilities.Name.metaObjectCache] = other.map { QiDynamic(.bool($0)) }
        #expect(left.shared(with: right).metaObjectCache == shared)
        #expect(left.shared(with: right).objectCoding == ObjectCoding(sharesObjectUID: false, sharesMetaObjectCache: shared))
    }
}
