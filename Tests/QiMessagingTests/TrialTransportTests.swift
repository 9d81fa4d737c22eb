import NIOCore
import NIOPosix
import QiMeshTesting
import QiMessaging
import QiWire
import Testing

/// A way of its own, `trial://HOST:PORT`, which is TCP by another name: all that a program outside QiMessaging writes to have one. This
/// file sees of QiMessaging what such a program sees.
private struct TrialTransport: Transport {
    let schemes = ["trial"]
    /// Who it says that its peers are; nil: it vouches for nothing.
    var proven: Principal.Identity?
    private let sockets = SocketTransport()

    init(proven: Principal.Identity? = nil) { self.proven = proven }

    /// Before every socket.
    func rank(of endpoint: Endpoint) -> Int? { -1 }

    func origin(of channel: any Channel, at endpoint: Endpoint, isServer: Bool) -> EventLoopFuture<ConnectionOrigin> {
        channel.eventLoop.makeSucceededFuture(
            ConnectionOrigin(by: path(at: endpoint), from: channel.remoteAddress?.ipAddress, proven: proven))
    }

    func connect(
        to endpoint: Endpoint, on eventLoop: any EventLoop, timeout: TimeAmount,
        configure: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) -> EventLoopFuture<any Channel> {
        eventLoop.makeCompletedFuture { try Self.renamed(endpoint, to: "tcp") }
            .flatMap { sockets.connect(to: $0, on: eventLoop, timeout: timeout, configure: configure) }
    }

    func listen(
        at endpoint: Endpoint, on eventLoop: any EventLoop,
        configure: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) -> EventLoopFuture<TransportListening> {
        eventLoop.makeCompletedFuture { try Self.renamed(endpoint, to: "tcp") }
            .flatMap { sockets.listen(at: $0, on: eventLoop, configure: configure) }
            .flatMapThrowing { socket in
                TransportListening(at: try Self.renamed(socket.endpoint, to: "trial"), ended: socket.ended, end: socket.end)
            }
    }

    private static func renamed(_ endpoint: Endpoint, to scheme: String) throws -> Endpoint {
        guard let renamed = Endpoint("\(scheme)://" + endpoint.text.split(separator: "/")[1]) else {
            throw QiError(.invalid, "\(endpoint) has no host and port")
        }
        return renamed
    }
}

@Suite(.timeLimit(.minutes(8)), .serialized)
struct TrialTransportTests {
    /// An object that tells how its callers come, and who they are.
    private static var who: ObjectBuilder {
        var builder = ObjectBuilder()
        builder.advertiseMethod("origin", "()", returns: "s") { _, context in .string(QiString("\(context.origin)")) }
        builder.advertiseMethod("who", "(s)", returns: "s") { _, _ in
            .string(QiString(Caller.current.map { "\($0.principal) \($0.zone)" } ?? "no caller"))
        }
        return builder
    }

    /// A session over the trial transport.
    private static func withSession<Result: Sendable>(
        _ endpoint: Endpoint, listen: [String] = [], _ body: (Session) async throws -> Result
    ) async throws -> Result {
        var options = Session.Options()
        options.transports = [TrialTransport()]
        options.callsInProcess = false
        options.machineID = "test-machine"
        options.logger = quiet
        options.listen = listen
        return try await Session.with(endpoint.text, options: options, body)
    }

    /// Runs `body` with a directory that listens at a trial endpoint, where a service tells who comes.
    private static func withDirectory(
        proven: Principal.Identity? = nil, zone: Zone? = nil, _ rules: [PermissionRule], audit: RecordedAudit = RecordedAudit(),
        _ body: (DirectoryServer, Endpoint) async throws -> Void
    ) async throws {
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)
        let control = AccessControl(PermissionPolicy(rules: rules), audit: audit)
        let server = try await DirectoryServer.make(on: loop, machineID: "test-machine", access: control)
        do {
            let address = try #require(Endpoint("trial://127.0.0.1:0"))
            let listener = try await server.listen(at: address, transport: TrialTransport(proven: proven), zone: zone)
            _ = try await server.register(who, as: "Who")
            try await body(server, listener.endpoint)
            await listener.close()
            await loop.shutDown()
        } catch {
            await loop.shutDown()
            throw error
        }
    }

    @Test(arguments: TransportConformance.cases)
    func doesWhatEveryTransportHasTo(_ given: TransportConformance.Case) async throws {
        try await given.run(over: .endpoint("trial://127.0.0.1:0", transport: TrialTransport()))
    }

    @Test func itsEndpointsAreChosenDialledAndServed() async throws {
        try await Self.withDirectory(zone: .internal, []) { server, endpoint in
            let tcp = try await server.listen(at: #require(Endpoint("tcp://127.0.0.1:0")))
            try await Self.withSession(endpoint, listen: ["unix:", "tcp://127.0.0.1:0", "trial://127.0.0.1:0"]) { host in
                _ = try await host.register(Self.who, as: "Hosted")
                let reached: String = try await Self.withSession(endpoint) { session in
                    let endpoints = try await session.info(of: "Hosted").endpoints
                    #expect(endpoints.contains { $0.hasPrefix("trial://127.0.0.1:") } && endpoints.count == 3)
                    return try await session.service("Hosted").call("origin")
                }
                #expect(reached == "trial 127.0.0.1")
                // A session without the transport passes its endpoint over.
                var options = Session.Options()
                options.machineID = "test-machine"
                options.callsInProcess = false
                options.logger = quiet
                let other: String = try await Session.with(tcp.endpoint.text, options: options) { session in
                    try await session.service("Hosted").call("origin")
                }
                #expect(other.hasPrefix("unix, user "))
            }
            await tcp.close()
        }
    }

    @Test func aServiceThatListensNowhereElseIsDialledByThoseWhoCameThatWay() async throws {
        try await Self.withDirectory(zone: .internal, []) { _, endpoint in
            try await Self.withSession(endpoint, listen: ["trial://127.0.0.1:0"]) { host in
                _ = try await host.register(Self.who, as: "Hosted")
                let reached: String = try await Self.withSession(endpoint) { session in
                    #expect(try await session.info(of: "Hosted").endpoints.allSatisfy { $0.hasPrefix("trial:") })
                    return try await session.service("Hosted").call("origin")
                }
                #expect(reached == "trial 127.0.0.1")
            }
        }
    }

    @Test func whatVouchesForNothingLetsAnonymousPeersInFromOutside() async throws {
        let audit = RecordedAudit()
        try await Self.withDirectory([.of(.zone(.internet), allow: ["Who.who"])], audit: audit) { server, endpoint in
            try await server.registerPrivate(Self.who, as: "Private")
            try await Self.withSession(endpoint) { session in
                let service = try await session.service("Who")
                #expect(try await service.call("who", "") == "host:127.0.0.1 internet")
                await #expect(throws: QiError.self) { let _: String = try await service.call("origin") }
                await #expect(throws: QiError.self) { _ = try await session.service("Private") }
            }
        }
        #expect(audit.all.contains { $0.target == "Who.origin" && $0.event == "denied" && $0.path == "trial 127.0.0.1" })
    }

    @Test(arguments: [
        (Principal.Identity.device("op@lab.example"), "device op@lab.example, trial 127.0.0.1"),
        (.certificate("9f"), "trial 127.0.0.1, key 9f"),
        (.user("nao"), "trial 127.0.0.1, user:nao"),
    ])
    func whatItVouchesForIsWhoThePeerIs(_ identity: Principal.Identity, _ origin: String) async throws {
        try await Self.withDirectory(proven: identity, [.of(.everyone, allow: ["*"])]) { _, endpoint in
            try await Self.withSession(endpoint) { session in
                let service = try await session.service("Who")
                #expect(try await service.call("who", "") == "\(identity) internet")
                #expect(try await service.call("origin") == origin)
            }
        }
    }

    @Test func aDeviceThatItVouchesForIsOneLikeOthers() async throws {
        let device = "op@lab.example"
        try await Self.withDirectory(proven: .device(device), [.of(.everyone, allow: ["*"])]) { server, endpoint in
            var builder = ObjectBuilder()
            builder.advertiseMethod("dropMe", "()") { _, _ in
                server.dropDevice(device, QiError(.denied, "it was revoked"))
                await untilCancelled()
                return .void
            }
            _ = try await server.register(builder, as: "Door")
            try await Self.withSession(endpoint) { session in
                let door = try await session.service("Door")
                #expect(try await server.pathsOfDevices() == [device: PathKind("trial")])
                let error = await #expect(throws: QiError.self) { _ = try await door.call("dropMe", arguments: []) }
                #expect(error?.code == .denied || error?.code == .disconnected, "\(error as Any)")
                // Its session comes back by itself: nothing of the dropped connection is left.
                #expect(try await server.deviceLinks().incoming.count <= 1)
            }
        }
    }

    @Test func aDeviceThatARuleRefusesLeavesNothingBehind() async throws {
        let device = "op@lab.example"
        try await Self.withDirectory(proven: .device(device), [.of(.everyone, allow: ["*"], exclusive: true)]) { server, endpoint in
            try await Self.withSession(endpoint) { session in
                let service = try await session.service("Who")
                for _ in 0..<3 {
                    await #expect(throws: QiError.self) { try await Self.withSession(endpoint) { _ = try await $0.service("Who") } }
                }
                #expect(try await server.deviceLinks().incoming.map(\.device) == [device])
                #expect(try await service.call("who", "") == "\(Principal.Identity.device(device)) internet")
            }
        }
    }

    @Test func bytesAreCountedByTheNameOfTheWay() async throws {
        var limits = PrincipalLimits()
        limits.bytes = ["trial": .init(20_000, per: .seconds(3600)), "in-band": .init(1, per: .seconds(3600))]
        let audit = RecordedAudit()
        try await Self.withDirectory([.of(.everyone, allow: ["*"], limits: limits)], audit: audit) { _, endpoint in
            try await Self.withSession(endpoint) { session in
                let service = try await session.service("Who")
                let half = String(repeating: "x", count: 12_000)
                let _: String = try await service.call("who", half)
                let refusal = await #expect(throws: QiError.self) { let _: String = try await service.call("who", half) }
                let message = try #require(refusal?.message)
                #expect(message.contains("20000 bytes per hour through trial are allowed"), "\(message)")
            }
        }
        #expect(audit.all.contains { $0.event == "limited" && $0.path == "trial 127.0.0.1" })
    }

    @Test func aDeviceIsTheSameByAnotherWay() async throws {
        let path = PathKind("trial")
        try await FarDevice.withDevice(["Who": Self.who], by: path) { near, _, far in
            #expect(try await near.pathsOfDevices().isEmpty)
            let service = try await near.service("Who", of: FarDevice.address)
            #expect(try await service.call("who", "") == "desk@test internet")
            #expect(try await service.call("origin") == "device desk@test, trial")
            #expect(try await near.pathsOfDevices() == [FarDevice.address: path])
            #expect(try await far.server.pathsOfDevices() == ["desk@test": path])
        }
    }

    @Test func aDirectoryThatStopsWaitsForTheEndsOfItsConnections() async throws {
        try await Self.withDirectory([.of(.everyone, allow: ["*"])]) { server, endpoint in
            try await Self.withSession(endpoint) { session in
                _ = try await session.service("Who")
                let clock = ContinuousClock()
                let start = clock.now
                await server.drain(within: .seconds(60))
                #expect(clock.now - start < .seconds(30))
            }
        }
    }
}
