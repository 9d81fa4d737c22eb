import NIOCore
@testable import QiMessaging
import QiWire
import Synchronization
import Testing

/// Who is let in, who is shown what, and what those outside are told.
@Suite(.timeLimit(.minutes(8))) struct GatewayDoorTests {
    /// Knows one user, whose access can be taken away, and whose token can be replaced.
    private final class OneUser: CredentialStore {
        private struct State {
            var isGood = true
            var token = "open-sesame"
        }
        private let state = Mutex(State())

        func proof(of credentials: Credentials) -> CredentialProof? {
            let token = state.withLock { $0.token }
            return credentials == Credentials(user: "nao", token: token) ? CredentialProof(.user("nao"), version: Array(token.utf8)) : nil
        }
        func isStillGood(_ proof: CredentialProof) -> Bool { state.withLock { $0.isGood && Array($0.token.utf8) == proof.version } }
        func revoke() { state.withLock { $0.isGood = false } }
        func restore() { state.withLock { $0.isGood = true } }
        func rotate(to token: String) { state.withLock { $0.token = token } }
    }

    private final class Records: AuditSink {
        private let kept = Mutex<[AuditRecord]>([])
        func record(_ record: AuditRecord) { kept.withLock { $0.append(record) } }
        var all: [AuditRecord] { kept.withLock { $0 } }
    }

    private func hello(_ credentials: [String: QiValue]) throws -> Message {
        var capabilities = Capabilities.ours
        for (key, value) in credentials { capabilities["auth_" + key] = QiDynamic(value) }
        var payload = ByteBuffer()
        try capabilities.write(to: &payload)
        return Message(kind: .call, id: 1, address: .authenticate, payload: payload)
    }

    /// Runs `body` with a gateway that asks who one is.
    private func withAskingGateway(
        anonymous: Bool = false, _ body: (Endpoint, OneUser, Records) async throws -> Void
    ) async throws {
        try await MortalDirectory.with { directory in
            let (user, records) = (OneUser(), Records())
            try await withGateway(
                to: directory.endpoint,
                { options in
                    options.rules.authentication = ListenerRules.Authentication(stores: [user], admitsAnonymous: anonymous)
                    options.rules.audit = records
                }
            ) { _, endpoint in try await body(endpoint, user, records) }
        }
    }

    @Test func userAndToken() async throws {
        try await withAskingGateway { endpoint, _, records in
            let client = try await RawClient(endpoint)
            let answer = try await client.call(hello(["user": .string("nao"), "token": .string("open-sesame")]))
            #expect(answer.kind == .reply)
            try await client.expectAlive()
            try await client.close()
            #expect(records.all.isEmpty)
        }
    }

    @Test(arguments: [
        ["user": "nao", "token": "guess-7731"], ["user": "pepper", "token": "open-sesame"], ["user": "nao"], ["token": "open-sesame"], [:],
        ["user": "", "token": ""], ["user": "nao", "token": String(repeating: "x", count: 2000)],
    ] as [[String: String]])
    func othersAreRefusedAndWrittenDown(_ credentials: [String: String]) async throws {
        try await withAskingGateway { endpoint, _, records in
            let client = try await RawClient(endpoint)
            let answer = try await client.call(hello(credentials.mapValues { .string(QiString($0)) }))
            #expect(answer.kind == .error && answer.errorText.hasPrefix("Authentication failed: "))
            #expect(!answer.errorText.contains("open-sesame"))
            await client.expectClosed()
            let record = try #require(records.all.first)
            #expect(records.all.count == 1 && record.event == "refused" && !record.isAllowed && record.path == "tcp 127.0.0.1")
            #expect(!"\(record)".contains("open-sesame") && !"\(record)".contains("guess-7731"))
        }
    }

    @Test func nothingIsServedBefore() async throws {
        try await withAskingGateway { endpoint, _, _ in
            let client = try await RawClient(endpoint)
            let action = ActionAddress(.serviceDirectory, action: WellKnownActions.services)
            let answer = try await client.call(action, id: 5)
            #expect(answer.kind == .error && answer.errorText.hasPrefix("Expected authentication"))
            await client.expectClosed()
            // Nor is a large frame waited for.
            let other = try await RawClient(endpoint)
            var header = ByteBuffer()
            header.writeMessageHeader(MessageHeader(id: 1, payloadLength: 1 << 20, kind: .call, flags: [], address: .authenticate))
            try await other.send(header)
            await other.expectClosed()
        }
    }

    // MARK: Sessions

    private func options(_ user: String, _ token: String) -> Session.Options {
        var options = Session.Options()
        options.credentials = Credentials(user: user, token: token)
        options.machineID = "test-machine"
        options.logger = quiet
        return options
    }

    @Test func aSessionLogsIn() async throws {
        try await withAskingGateway { endpoint, _, records in
            let services = try await Session.with(endpoint.text, options: options("nao", "open-sesame")) { try await $0.services() }
            #expect(services.map(\.name) == ["ServiceDirectory"] && records.all.isEmpty)
        }
    }

    @Test func aSessionThatIsRefusedSaysWhy() async throws {
        try await withAskingGateway { endpoint, _, _ in
            let wrong = await #expect(throws: QiError.self) {
                _ = try await Session.connect(endpoint.text, options: options("nao", "guess-7731"))
            }
            #expect(wrong?.code == .denied && wrong?.message.contains("unknown user, or wrong token") == true)
            #expect(wrong?.message.contains("guess-7731") == false)
            let nobody = await #expect(throws: QiError.self) { try await withOutsider(endpoint) { _ in } }
            #expect(nobody?.code == .denied && nobody?.message.contains("wants a user and a token") == true)
        }
    }

    @Test func aSessionThatComesBackLogsInAgain() async throws {
        try await withAskingGateway { endpoint, user, records in
            try await Session.with(endpoint.text, options: options("nao", "open-sesame")) { session in
                user.revoke()
                #expect(await session.isAway() != nil)
                user.restore()
                await session.isBack()
                #expect(!records.all.contains { $0.detail == "this gateway wants a user and a token" })
            }
        }
    }

    /// The directory is who is told, not whom it names: a service's host is somebody else.
    @Test func hostsOfServicesAreNotTold() async throws {
        try await withAskingGateway { elsewhere, _, records in
            try await withDirectory { _, endpoint in
                try await withClient(endpoint) { host in
                    let info = ServiceInfo(
                        name: "Elsewhere", machineID: "test-machine", processID: 1, endpoints: [elsewhere.text], sessionID: "s")
                    let register = ActionAddress(.serviceDirectory, action: WellKnownActions.registerService)
                    let answer = try await host.call(register, id: 7, [info.qiValue], Signature(.tuple([ServiceInfo.signature.type])))
                    let ready = ActionAddress(.serviceDirectory, action: WellKnownActions.serviceReady)
                    _ = try await host.call(ready, id: 8, [answer.value("I")], "(I)")
                    try await Session.with(endpoint.text, options: options("nao", "open-sesame")) { session in
                        let refused = await #expect(throws: QiError.self) { _ = try await session.service("Elsewhere") }
                        #expect(refused?.message.contains("wants a user and a token") == true, "\(refused?.message ?? "let in")")
                    }
                    #expect(records.all.map(\.detail) == ["this gateway wants a user and a token"])
                }
            }
        }
    }

    @Test(arguments: ["tcp://192.0.2.7:9559", "tcp://robot.example:9559"])
    func aTokenIsNotSentWhereOthersReadIt(_ url: String) async {
        let error = await #expect(throws: QiError.self) { _ = try await Session.connect(url, options: options("nao", "open-sesame")) }
        #expect(error?.code == .invalid && error?.hint == "use tcps://HOST:PORT")
    }

    @Test func whoeverIsAnonymousMayComeInWhereThatIsSaid() async throws {
        try await withAskingGateway(anonymous: true) { endpoint, _, _ in
            let client = try await RawClient(endpoint)
            #expect(try await client.call(hello([:])).kind == .reply)
            try await client.close()
            // Wrong credentials are not none.
            let liar = try await RawClient(endpoint)
            #expect(try await liar.call(hello(["user": .string("nao"), "token": .string("wrong")])).kind == .error)
        }
    }

    @Test func aRevokedUserIsOutAtOnce() async throws {
        try await withAskingGateway(anonymous: true) { endpoint, user, records in
            let client = try await RawClient(endpoint)
            #expect(try await client.call(hello(["user": .string("nao"), "token": .string("open-sesame")])).kind == .reply)
            let other = try await RawClient(endpoint)
            #expect(try await other.call(hello([:])).kind == .reply)
            let start = ContinuousClock.now
            user.revoke()
            await client.expectClosed()
            // A second is what is promised; the rest is for a machine that runs all tests at once.
            #expect(ContinuousClock.now - start < .seconds(5))
            #expect(records.all.map(\.principal) == ["user:nao"])
            try await other.expectAlive()
            try await other.close()
        }
    }

    @Test func aConnectionMadeWithAnEarlierTokenEndsAndTheNewTokenIsLetIn() async throws {
        try await withAskingGateway { endpoint, user, records in
            let old = try await RawClient(endpoint)
            #expect(try await old.call(hello(["user": .string("nao"), "token": .string("open-sesame")])).kind == .reply)
            user.rotate(to: "another-sesame")
            let new = try await RawClient(endpoint)
            #expect(try await new.call(hello(["user": .string("nao"), "token": .string("another-sesame")])).kind == .reply)
            await old.expectClosed()
            #expect(records.all.map(\.detail) == ["the access of user:nao was revoked, or its secret replaced"])
            try await new.expectAlive()
            try await new.close()
        }
    }

    /// A flood of those who say nothing costs the others nothing.
    @Test func whoeverSaysNothingMakesRoom() async throws {
        try await MortalDirectory.with { directory in
            try await withGateway(
                to: directory.endpoint,
                { options in
                    options.rules.limits.maximumUnprovenPerAddress = 4
                    options.rules.limits.burst = 1000
                    options.rules.authentication = ListenerRules.Authentication(stores: [], admitsAnonymous: true)
                }
            ) { gateway, endpoint in
                try await withClient(endpoint) { good in
                    var silent: [RawClient] = []
                    for _ in 0..<20 { silent.append(try await RawClient(endpoint)) }
                    for client in silent.prefix(16) { await client.expectClosed() }
                    try await good.expectAlive()
                    try await withClient(endpoint) { late in try await late.expectAlive() }
                    for client in silent.suffix(4) { try await client.close() }
                }
            }
        }
    }

    @Test func plainListenersNeedTheWord() async throws {
        let endpoint = try #require(Endpoint("unix:/nowhere"))
        let error = await #expect(throws: QiError.self) {
            try await withGateway(to: endpoint, { $0.allowsPlain = false }) { _, _ in }
        }
        #expect(error?.code == .invalid && error?.message.contains("nothing on it is encrypted") == true)
        let socket = await #expect(throws: QiError.self) { try await withGateway(to: endpoint, at: ["unix:/tmp/door"]) { _, _ in } }
        #expect(socket?.code == .invalid)
    }

    @Test func severalAddressesAndOneThatChanges() async throws {
        try await MortalDirectory.with { directory in
            try await withGateway(to: directory.endpoint, at: ["tcp://127.0.0.1:0", "tcp://127.0.0.2:0"]) { gateway, first in
                let second = try #require(gateway.endpoints.last)
                try await withOutsider(first) { one in
                    try await withOutsider(second) { other in
                        func told(_ session: Session) async throws -> [String] { try await session.services().flatMap(\.endpoints) }
                        #expect(try await told(one) == ["qi:ServiceDirectory", first.text])
                        #expect(try await told(other) == ["qi:ServiceDirectory", second.text])
                        gateway.advertise([try #require(Endpoint("tcp://pepper.example:9559"))])
                        // On the gateway's loop, which may read a request first.
                        let changed = ["qi:ServiceDirectory", "tcp://pepper.example:9559"]
                        for _ in 0..<1000 where try await told(one) != changed {}
                        #expect(try await told(one) == changed)
                        try await withSession(of: directory) { host in
                            _ = try await host.register(ProbeTests.probeObject(), as: "Probe")
                            try await other.waitForService("Probe")
                            #expect(try await other.service("Probe").call("inc", arguments: [.int32(1)]) == .int32(2))
                        }
                        #expect(try await gateway.status().connections == 2)
                    }
                }
            }
        }
    }

    /// What is private inside has a name that can be guessed, and so has what is another device's.
    @Test func onlyWhatIsListedIsThere() async throws {
        try await MortalDirectory.with { directory in
            var secret = ObjectBuilder()
            secret.advertiseMethod("all", "()", returns: "s") { _, _ in .string("everything") }
            try await directory.server.registerPrivate(secret, as: "Control")
            try await withGateway(to: directory.endpoint) { gateway, endpoint in
                try await gateway.hasJoined()
                try await withOutsider(endpoint) { outsider in
                    for name in ["Control", "pepper/ALMotion", "Nothing", "", "qi:ServiceDirectory"] {
                        let error = await #expect(throws: QiError.self) { _ = try await outsider.service(name) }
                        #expect(error?.code == .notFound, "\(name): \(String(describing: error))")
                        #expect(error?.message.contains("sd") == false)
                    }
                }
                // Nor by numbers.
                try await withClient(endpoint) { client in
                    for id: UInt32 in [2, LookUpIDs.firstHidden, LookUpIDs.firstHidden + 1, LookUpIDs.first] {
                        let action = ActionAddress(.main(ofService: id), action: 100)
                        let answer = try await client.call(action, id: 9)
                        #expect(answer.errorText == "The call request could not be handled.")
                    }
                }
            }
        }
    }

    /// The directory is away, and errors must not say where it is.
    @Test func theInsideIsNotTold() async throws {
        try await MortalDirectory.with { directory in
            try await withSession(of: directory, machineID: "another-machine") { host in
                _ = try await host.register(ProbeTests.probeObject(), as: "Probe")
                try await withGateway(to: directory.endpoint) { _, endpoint in
                    try await withOutsider(endpoint) { outsider in
                        try await outsider.waitForService("Probe")
                        let service = try await outsider.service("Probe")
                        try await directory.kill()
                        var texts: [String] = []
                        while texts.isEmpty {
                            do { _ = try await service.call("inc", arguments: [.int32(1)]) } catch { texts.append("\(error)") }
                        }
                        for name in ["Probe", "Other"] {
                            do { _ = try await outsider.service(name) } catch { texts.append("\(error)") }
                        }
                        for text in texts { #expect(!text.contains("unix:") && !text.contains("/sd"), "\(text)") }
                        // What it listed is still listed.
                        #expect(try await outsider.services().map(\.name).contains("Probe"))
                    }
                }
            }
        }
    }

    @Test func thePolicyHidesAndForbids() async throws {
        var rule = PermissionRule(who: [.zone(.lan)])
        rule.allow = ["Seen.inc"]
        let control = AccessControl(PermissionPolicy(rules: [rule]))
        try await MortalDirectory.with { directory in
            for name in ["Seen", "Hidden"] { _ = try await directory.server.register(ProbeTests.probeObject(), as: name) }
            try await withGateway(to: directory.endpoint, { $0.access = control }) { gateway, endpoint in
                try await gateway.hasJoined()
                try await withOutsider(endpoint) { outsider in
                    #expect(Set(try await outsider.services().map(\.name)) == ["ServiceDirectory", "Seen"])
                    let seen = try await outsider.service("Seen")
                    #expect(try await seen.call("inc", arguments: [.int32(1)]) == .int32(2))
                    #expect(["inc", "dyn"].allSatisfy { name in seen.metaObject.methods.contains { $0.name == name } })
                    let denied = await #expect(throws: QiError.self) { _ = try await seen.call("dyn", arguments: [.int32(1)]) }
                    #expect(denied?.code == .denied && denied?.message.hasSuffix("may not call Seen.dyn (no rule allows it)") == true)
                    let hidden = await #expect(throws: QiError.self) { _ = try await outsider.service("Hidden") }
                    #expect(hidden?.code == .notFound)
                    let added = try await outsider.directory().events(of: "serviceAdded")
                    var more = rule
                    more.allow.append("Hidden.*")
                    control.replace(PermissionPolicy(rules: [more]))
                    #expect(await added.first()?.last?.asString == "Hidden")
                    #expect(try await outsider.service("Hidden").call("inc", arguments: [.int32(2)]) == .int32(3))
                }
            }
        }
    }

    /// Where the directory inside is ours and has no unix socket, what is hosted from outside is reached all the same.
    @Test func hostingFromOutsideWorksWhereTheDirectoryInsideListensAtTCPOnly() async throws {
        var rule = PermissionRule(who: [.zone(.lan)])
        rule.allow = ["Vision*"]
        rule.register = ["Vision*"]
        let control = AccessControl(PermissionPolicy(rules: [rule]))
        try await GuardedDirectory.with([]) { directory in
            let setUp: (inout TCPGateway.Options) -> Void = { options in
                options.access = control
                options.reachesHosts = true
            }
            try await withGateway(to: directory.inside, setUp) { _, endpoint in
                try await withSession(directory.inside) { insider in
                    try await withOutsider(endpoint) { host in
                        _ = try await host.register(ProbeTests.probeObject(), as: "VisionOne")
                        let answer = try await insider.service("VisionOne").call("inc", arguments: [.int32(1)])
                        #expect(answer == .int32(2))
                    }
                }
            }
        }
    }

    @Test func registeringIsRefusedInWords() async throws {
        try await MortalDirectory.with { directory in
            try await withGateway(to: directory.endpoint) { _, endpoint in
                try await withOutsider(endpoint) { outsider in
                    let error = await #expect(throws: QiError.self) {
                        _ = try await outsider.register(ProbeTests.probeObject(), as: "Mine")
                    }
                    #expect(error?.message.contains("services cannot be registered through this gateway") == true)
                    let names = try await outsider.services().map(\.name)
                    #expect(names == ["ServiceDirectory"])
                }
            }
        }
    }

    /// What somebody outside hosts is used inside, and by others outside; it is gone with its host.
    @Test func whoeverMayRegisterHostsInside() async throws {
        var rule = PermissionRule(who: [.zone(.lan)])
        rule.allow = ["Vision*"]
        rule.register = ["Vision*"]
        let control = AccessControl(PermissionPolicy(rules: [rule]))
        try await MortalDirectory.with { directory in
            try await withGateway(to: directory.endpoint, { $0.access = control }) { _, endpoint in
                try await withSession(of: directory) { insider in
                    let removed = try await insider.directory().events(of: "serviceRemoved")
                    try await withOutsider(endpoint) { host in
                        let hosted = try await host.register(ProbeTests.probeObject(), as: "VisionOne")
                        let denied = await #expect(throws: QiError.self) {
                            _ = try await host.register(ProbeTests.probeObject(), as: "Motion")
                        }
                        #expect(denied?.message.contains("may not register Motion") == true)
                        let service = try await insider.service("VisionOne")
                        #expect(try await service.call("inc", arguments: [.int32(1)]) == .int32(2))
                        let events = try await service.events(of: "sig")
                        try hosted.emit("sig", [.int32(7), .string("")])
                        #expect(await events.first()?.first == .int32(7))
                        // Nobody inside is told an address outside.
                        let endpoints = try await insider.info(of: "VisionOne").endpoints
                        #expect(endpoints.allSatisfy { $0.hasPrefix("qi:") || $0 == directory.endpoint.text }, "\(endpoints)")
                        try await withOutsider(endpoint) { other in
                            let answer = try await other.service("VisionOne").call("inc", arguments: [.int32(2)])
                            #expect(answer == .int32(3))
                            let names = try await other.services().map(\.name).sorted()
                            #expect(names == ["ServiceDirectory", "VisionOne"])
                        }
                    }
                    #expect(await removed.first()?.last?.asString == "VisionOne")
                }
            }
        }
    }
}
