import Foundation
import Logging
import NIOPosix
@testable import QiMessaging
import QiWire
import Testing

let quiet: Logger = {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    return logger
}()

/// Runs `body` with a directory on a port of its own.
func withDirectory<Result>(
    at address: String = "tcp://127.0.0.1:0", machineID: String = "test-machine", limits: ConnectionLimits = ConnectionLimits(),
    tls: TLSOptions = TLSOptions(), _ body: (DirectoryServer, Endpoint) async throws -> Result
) async throws -> Result {
    let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)
    let directory = try await DirectoryServer.make(on: loop, machineID: machineID, limits: limits)
    let listener = try await directory.listen(at: #require(Endpoint(address)), tls: tls)
    do {
        let result = try await body(directory, listener.endpoint)
        await listener.close()
        await loop.shutDown()
        return result
    } catch {
        await listener.close()
        await loop.shutDown()
        throw error
    }
}

/// Runs `body` with an authenticated raw connection, and closes it.
func withClient<Result>(_ endpoint: Endpoint, _ body: (RawClient) async throws -> Result) async throws -> Result {
    let client = try await RawClient(endpoint)
    do {
        try await client.authenticate()
        let result = try await body(client)
        try await client.close()
        return result
    } catch {
        try? await client.close()
        throw error
    }
}

/// A session on the machine that ``withDirectory(at:machineID:limits:_:)`` is on. It uses its connections also for services of
/// this process, unless said.
func withSession<Result: Sendable>(
    _ endpoint: Endpoint, callsInProcess: Bool = false, _ body: (Session) async throws -> Result
) async throws -> Result {
    var options = Session.Options()
    options.callsInProcess = callsInProcess
    options.machineID = "test-machine"
    options.logger = quiet
    return try await Session.with(endpoint.text, options: options, body)
}

/// A folder of its own, removed afterwards.
func withFolder<Result>(_ body: (String) async throws -> Result) async throws -> Result {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("qimesh-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    do {
        let result = try await body(path)
        try FileManager.default.removeItem(atPath: path)
        return result
    } catch {
        try? FileManager.default.removeItem(atPath: path)
        throw error
    }
}

/// Returns when the task is cancelled.
func untilCancelled() async {
    // Nothing is ever yielded, and a cancelled task's iteration ends.
    let (stream, continuation) = AsyncStream.makeStream(of: Never.self)
    for await _ in stream {}
    withExtendedLifetime(continuation) {}
}

extension SignalEvents {
    /// The next event; nil at the end.
    func first() async -> [QiValue]? {
        var iterator = makeAsyncIterator()
        return await iterator.next()
    }
}
