import NIOCore
import NIOPosix
@testable import QiMessaging
import Testing

/// Runs `body` with a plain gateway in front of `directory`.
func withGateway<Result>(
    to directory: Endpoint, at addresses: [String] = ["tcp://127.0.0.1:0"], machineID: String = "gateway-machine",
    _ change: (inout TCPGateway.Options) throws -> Void = { _ in }, _ body: (TCPGateway, Endpoint) async throws -> Result
) async throws -> Result {
    let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)
    var options = TCPGateway.Options(directory: directory, machineID: machineID)
    options.allowsPlain = true
    try change(&options)
    do {
        let gateway = try await TCPGateway.open(options, at: addresses.map { try #require(Endpoint($0)) }, on: loop)
        let result = try await body(gateway, #require(gateway.endpoints.first))
        await gateway.close()
        await loop.shutDown()
        return result
    } catch {
        await loop.shutDown()
        throw error
    }
}

extension TCPGateway {
    /// Returns when the gateway follows its directory.
    func hasJoined() async throws {
        let upstream = self.upstream
        try await loop.run { (_) async throws(QiError) in
            _ = try await upstream.value.follower.joined(until: .now() + .seconds(20))
        }
    }
}

/// A session outside: of another machine than everything inside.
func withOutsider<Result: Sendable>(_ endpoint: Endpoint, _ body: (Session) async throws -> Result) async throws -> Result {
    var options = Session.Options()
    options.callsInProcess = false
    options.machineID = "outside-machine"
    options.logger = quiet
    return try await Session.with(endpoint.text, options: options, body)
}

extension Session {
    /// Returns when the directory lists `name`, which it may do already.
    func waitForService(_ name: String) async throws {
        let added = try await directory().events(of: "serviceAdded")
        if try await services().contains(where: { $0.name == name }) { return }
        for await event in added where event.last?.asString == name { return }
        throw QiError(.disconnected, "no service \(name) came")
    }
}
