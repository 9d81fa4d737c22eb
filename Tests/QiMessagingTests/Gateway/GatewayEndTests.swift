import NIOCore
import NIOPosix
@testable import QiMessaging
import QiWire
import Testing

/// Gateways and directories that end while something is under way: in words, whatever is awaited at the time.
@Suite(.timeLimit(.minutes(8))) struct GatewayEndTests {
    /// Nothing is left of a gateway that could not listen; what it had begun ends without it.
    @Test(arguments: [true, false]) func aGatewayWhosePortIsTakenSaysSo(mayRegister: Bool) async throws {
        let squatter = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton).bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(squatter.localAddress?.port)
        try await MortalDirectory.with { directory in
            _ = try await directory.server.register(ProbeTests.probeObject(), as: "Probe")
            for _ in 0..<30 {
                let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)
                var options = TCPGateway.Options(directory: directory.endpoint, machineID: "gateway-machine")
                options.allowsPlain = true
                if mayRegister { options.access = AccessControl(PermissionPolicy()) }
                let taken = try #require(Endpoint("tcp://127.0.0.1:\(port)"))
                let error = await #expect(throws: QiError.self) { _ = try await TCPGateway.open(options, at: [taken], on: loop) }
                #expect(error?.code == .conflict && error?.message.contains("in use") == true)
                await loop.shutDown()
            }
        }
        try await squatter.close()
    }

    private func open(_ addresses: [String], on loop: BusLoop) async throws -> TCPGateway {
        var options = TCPGateway.Options(directory: try #require(Endpoint("unix:/nonexistent/sd")), machineID: "gateway-machine")
        options.allowsPlain = true
        return try await TCPGateway.open(options, at: addresses.map { try #require(Endpoint($0)) }, on: loop)
    }

    /// 203.0.113.0/24 is nobody's (RFC 5737), and `.invalid` no name (RFC 6761).
    @Test func oneAddressThatIsNotThereKeepsNoOtherClosed() async throws {
        let squatter = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton).bind(host: "127.0.0.1", port: 0).get()
        let taken = "tcp://127.0.0.1:\(try #require(squatter.localAddress?.port))"
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)
        let gateway = try await open(["tcp://203.0.113.1:9503", "tcp://127.0.0.1:0", taken, "tcp://no-such-host.invalid:9503"], on: loop)
        #expect(gateway.endpoints.count == 1)
        #expect(gateway.late.map(\.error.message) == [
            "cannot listen at tcp://203.0.113.1:9503: Cannot assign requested address", "\(taken) is in use by another process",
            "cannot listen at tcp://no-such-host.invalid:9503: the name no-such-host.invalid is not known",
        ])
        #expect(gateway.late.map(\.error.isOfLateAddress) == [true, false, true])
        var opened = await gateway.openLate()
        #expect(opened.isEmpty && gateway.late.count == 3)
        try await squatter.close()
        opened = await gateway.openLate()
        #expect(opened.map(\.text) == [taken] && gateway.late.count == 2 && gateway.endpoints.count == 2)
        let client = try await RawClient(try #require(Endpoint(taken)))
        try await client.authenticate()
        try await client.close()
        await gateway.close()
        await loop.shutDown()
    }

    @Test func withoutAnyAddressItDoesNotOpen() async throws {
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)
        let error = await #expect(throws: QiError.self) { _ = try await open(["tcp://203.0.113.1:9503", "tcp://203.0.113.2:9503"], on: loop) }
        #expect(error?.isOfLateAddress == true && error?.message.contains("203.0.113.1") == true)
        await loop.shutDown()
    }

    /// One address under several names is one.
    @Test func anAddressThatItHasItselfIsNotTaken() async throws {
        // Not of the ports that the system gives to others meanwhile (`ip_local_port_range`).
        let port = Int.random(in: 20_000..<30_000)
        for (addresses, open) in [
            (["127.0.0.1", "localhost"], ["127.0.0.1"]), (["localhost", "127.0.0.1"], ["localhost"]),
            (["127.0.0.1", "0.0.0.0", "localhost"], ["0.0.0.0"]), (["127.0.0.1", "127.0.0.2"], ["127.0.0.1", "127.0.0.2"]),
        ] {
            let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)
            let gateway = try await self.open(addresses.map { "tcp://\($0):\(port)" }, on: loop)
            #expect(gateway.endpoints.map(\.text) == open.map { "tcp://\($0):\(port)" } && gateway.late.isEmpty, "\(gateway.late)")
            await gateway.close()
            await loop.shutDown()
        }
    }

    /// A look-up waits for a host that does not answer: the asker is told, and nothing else happens.
    @Test(arguments: [true, false]) func aGatewayMayEndWhileALookUpWaits(isInsideFirst: Bool) async throws {
        for _ in 0..<10 {
            try await withSilentService { directory in
                try await withGateway(to: directory.endpoint) { gateway, endpoint in
                    try await gateway.hasJoined()
                    let client = try await RawClient(endpoint)
                    try await client.authenticate()
                    let look = ActionAddress(.serviceDirectory, action: WellKnownActions.service)
                    try await client.send(.call(look, id: 7, [.string("Silent")], "(s)"))
                    try await client.expectAlive()
                    if isInsideFirst { try await directory.kill() }
                    await gateway.close()
                    while await client.next() != nil {}
                    await gateway.loop.shutDown()
                }
            }
        }
    }

    /// The same of a directory whose services are another device's.
    @Test func aDirectoryMayEndWhileALookUpWaits() async throws {
        for _ in 0..<10 {
            try await FarDevice.with { near, endpoint, far in
                let client = try await RawClient(endpoint)
                try await client.authenticate()
                let look = ActionAddress(.serviceDirectory, action: WellKnownActions.service)
                let listener = try await far.listen(at: #require(Endpoint("tcp://127.0.0.1:0")))
                try await withClient(listener.endpoint) { host in
                    try await host.registerSilent("Silent")
                    try await client.send(.call(look, id: 7, [.string("pepper/Silent")], "(s)"))
                    try await client.expectAlive()
                    await near.loop.shutDown()
                    while await client.next() != nil {}
                }
                await listener.close()
            }
        }
    }

    /// Runs `body` with a directory that lists a service whose host never answers.
    private func withSilentService(_ body: (MortalDirectory) async throws -> Void) async throws {
        try await MortalDirectory.with { directory in
            try await withClient(directory.endpoint) { host in
                try await host.registerSilent("Silent")
                try await body(directory)
            }
        }
    }
}

extension RawClient {
    /// Registers a service that is reached on this connection alone, where nobody serves it.
    fileprivate func registerSilent(_ name: String) async throws {
        let info = ServiceInfo(name: name, machineID: "another-machine", processID: 1, endpoints: ["tcp://127.0.0.1:9"], sessionID: "s")
        let register = ActionAddress(.serviceDirectory, action: WellKnownActions.registerService)
        let answer = try await call(register, id: 3, [info.qiValue], Signature(.tuple([ServiceInfo.signature.type])))
        let ready = ActionAddress(.serviceDirectory, action: WellKnownActions.serviceReady)
        _ = try await call(ready, id: 4, [try answer.value("I")], "(I)")
    }
}
