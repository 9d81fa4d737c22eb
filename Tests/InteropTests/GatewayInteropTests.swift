import Foundation
import NIOCore
import NIOPosix
import QiMeshTesting
@testable import QiMessaging
import QiWire
import Testing

/// Unmodified libqi clients at the gateway, in front of libqi's directory or ours.
@Suite(.timeLimit(.minutes(8)))
struct GatewayInteropTests {
    /// Knows one user.
    private struct OneUser: CredentialStore {
        func proof(of credentials: Credentials) -> CredentialProof? {
            credentials == Credentials(user: "nao", token: "a token of NAOqi") ? CredentialProof(.user("nao")) : nil
        }
        func isStillGood(_ proof: CredentialProof) -> Bool { true }
    }

    /// Runs `body` with a gateway at `tcps` that asks for user and token; `login` are the arguments by which a peer has them.
    private func withGateway(
        to directory: String, home: String, _ body: (TCPGateway, _ url: String, _ login: [String]) async throws -> Void
    ) async throws {
        let files = try TestAuthority(in: URL(fileURLWithPath: home)).issue(for: "elsewhere")
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)
        var options = TCPGateway.Options(directory: try #require(Endpoint(directory)), machineID: try MachineID.loadOrCreate(home: home))
        options.tls = TLSOptions(
            identity: TLSOptions.Identity(certificates: [.file(files.certificate.path)], privateKey: .file(files.key.path)))
        options.rules.authentication = ListenerRules.Authentication(stores: [OneUser()])
        try Data("a token of NAOqi\n".utf8).write(to: URL(fileURLWithPath: home + "/token"))
        do {
            let gateway = try await TCPGateway.open(options, at: [#require(Endpoint("tcps://127.0.0.1:0"))], on: loop)
            let url = try #require(gateway.endpoints.first?.text)
            try await body(gateway, url, ["--user", "nao", "--token-file", home + "/token"])
            await gateway.close()
            await loop.shutDown()
        } catch {
            await loop.shutDown()
            throw error
        }
    }

    /// Returns when the gateway lists as many services.
    private func lists(_ count: Int, _ gateway: TCPGateway) async throws {
        while try await gateway.status().services < count { await Task.yield() }
    }

    @Test(arguments: [true, false])
    func theWholeObjectModelPasses(libqis: Bool) async throws {
        try await withHome { inside in
            try await withHome { outside in
                try await withEitherDirectory(libqis: libqis, home: inside) { directory in
                    try await withPeer("service.py", ["--url", directory], home: inside) { service in
                        _ = try await service.requiredLine()
                        try await withGateway(to: directory, home: inside) { gateway, url, login in
                            try await lists(1, gateway)
                            try await runBattery(url, home: outside, login)
                        }
                    }
                }
            }
        }
    }

    /// libqi's directory lists a relative endpoint for each of them before the real ones of each.
    @Test func aServiceOfAProcessWithAHundredIsFound() async throws {
        try await withHome { inside in
            try await withHome { outside in
                try await withEitherDirectory(libqis: true, home: inside) { directory in
                    let names = (0..<100).flatMap { ["--name", "Peer\($0)"] } + ["--name", "Peer"]
                    try await withPeer("service.py", ["--url", directory] + names, home: inside) { service in
                        _ = try await service.requiredLine()
                        // To a session of ours, and at the door.
                        try await withSession(directory, home: inside) { session in
                            let endpoints = try await session.info(of: "Peer").endpoints
                            #expect(endpoints.count > 100)
                            let echoed: Int32 = try await session.service("Peer").call("echo_int32", Int32(7))
                            #expect(echoed == 7)
                        }
                        try await withGateway(to: directory, home: inside) { gateway, url, login in
                            try await lists(101, gateway)
                            try await runBattery(url, home: outside, login + ["--only", "types"])
                        }
                    }
                }
            }
        }
    }

    /// libqi's directory does not say why a service went. Its host does: it answers still.
    @Test func aServiceThatLibqiUnregistersIsGoneAtOnce() async throws {
        try await withHome { inside in
            try await withHome { outside in
                try await withEitherDirectory(libqis: true, home: inside) { directory in
                    try await withGateway(to: directory, home: inside) { gateway, url, login in
                        try await withSession(directory, home: inside) { host in
                            let hosted = try await host.register(PeerService.object(), as: "Peer")
                            try await lists(1, gateway)
                            let peer = try PythonPeer("client.py", ["--url", url, "--until-removed"] + login, home: outside)
                            #expect(try await peer.requiredLine().contains("attached"))
                            // The gateway would wait for a minute.
                            try await host.unregister(hosted)
                            #expect(await peer.ended() == 0)
                        }
                    }
                }
            }
        }
    }

    @Test func withoutTokenNobodyIsLetIn() async throws {
        try await withHome { inside in
            try await withDirectory(home: inside) { _, directory in
                try await withGateway(to: directory, home: inside) { _, url, login in
                    try Data("another\n".utf8).write(to: URL(fileURLWithPath: inside + "/wrong"))
                    for arguments in [[], ["--user", "nao", "--token-file", inside + "/wrong"]] {
                        let peer = try PythonPeer("client.py", ["--url", url] + arguments, home: inside)
                        let line = try await peer.requiredLine()
                        #expect(line.contains("\"connect\"") && line.contains("\"ok\": false"), "\(line)")
                        #expect(await peer.ended() != 0)
                    }
                }
            }
        }
    }

    /// A crowd that keeps sessions, proxies and subscriptions while the service's process, then the directory's, is another.
    @Test(arguments: [true, false])
    func aCrowdOutlivesTheInside(libqis: Bool) async throws {
        try await withHome { inside in
            try await withHome { outside in
                let port = try await freePort()
                let address = "tcp://127.0.0.1:\(port)"
                try await withGateway(to: address, home: inside) { gateway, url, login in
                    var said = 0
                    var crowd: PythonPeer?
                    for round in 0..<2 {
                        try await withInside(libqis, address, home: inside) {
                            for restart in 0..<2 {
                                try await withPeer("service.py", ["--url", address], home: inside) { service in
                                    _ = try await service.requiredLine()
                                    if crowd == nil {
                                        try await lists(1, gateway)
                                        crowd = try PythonPeer("crowd.py", ["--url", url, "--count", "10"] + login, home: outside)
                                        #expect(try await crowd?.requiredLine() == "{\"ready\": 10}")
                                    }
                                    let crowd = try #require(crowd)
                                    try await untilAllAnswer(crowd)
                                    said += 1
                                    try await withSession(address, home: inside) { session in
                                        _ = try await session.service("Peer").call("say", arguments: [.string(QiString("text\(said)"))])
                                    }
                                    #expect(try await answer(crowd, "heard text\(said)") == "{\"heard\": 10, \"twice\": 0}", "\(round) \(restart)")
                                }
                            }
                        }
                    }
                    let state = try await answer(#require(crowd), "state")
                    #expect(state.contains("\"connected\": 10, \"lost\": 0"), "\(state)")
                    #expect(!state.contains(String(port)), "\(state)")
                    #expect(try await gateway.status().connections == 10)
                    crowd?.end()
                }
            }
        }
    }

    private func answer(_ peer: PythonPeer, _ question: String) async throws -> String {
        peer.send(question)
        return try await peer.requiredLine()
    }

    /// Asks until calls pass again; until then all must fail at once, and say what to do.
    private func untilAllAnswer(_ crowd: PythonPeer) async throws {
        while true {
            let line = try await answer(crowd, "call x")
            if line == "{\"ok\": 10, \"errors\": []}" { return }
            #expect(line.contains("try again") && !line.contains("tcp:"), "\(line)")
        }
    }

    /// A directory at `address`, as long as `body` runs.
    private func withInside(_ libqis: Bool, _ address: String, home: String, _ body: () async throws -> Void) async throws {
        guard libqis else { return try await withDirectory(home: home, at: address) { _, _ in try await body() } }
        try await withPeer("directory.py", ["--listen", address], home: home) { directory in
            _ = try await directory.requiredLine()
            try await body()
        }
    }

    private func freePort() async throws -> Int {
        // Below those that the system gives to connections: one of them could take it while the directory is away.
        while true {
            let port = Int.random(in: 20_000..<32_000)
            do {
                try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton).bind(host: "127.0.0.1", port: port).get().close()
                return port
            } catch let error as IOError where error.errnoCode == EADDRINUSE {}
        }
    }
}
