import Foundation
import Logging
import NIOPosix
@testable import QiMessaging
import Testing

/// A folder of its own, which is the home of the peers of one test.
func withHome<Result>(_ body: (String) async throws -> Result) async throws -> Result {
    let home = FileManager.default.temporaryDirectory.appendingPathComponent("qimesh-interop-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
    do {
        let result = try await body(home)
        try FileManager.default.removeItem(atPath: home)
        return result
    } catch {
        try? FileManager.default.removeItem(atPath: home)
        throw error
    }
}

/// Runs `body` with a directory of ours at `address`, which all peers of `home` take for one of their machine.
func withDirectory<Result>(
    home: String, at address: String = "tcp://127.0.0.1:0", limits: ConnectionLimits = ConnectionLimits(),
    tls: TLSOptions = TLSOptions(), _ body: (DirectoryServer, _ url: String) async throws -> Result
) async throws -> Result {
    let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)
    let directory = try await DirectoryServer.make(on: loop, machineID: MachineID.loadOrCreate(home: home), limits: limits)
    let listener = try await directory.listen(at: #require(Endpoint(address)), tls: tls)
    do {
        let result = try await body(directory, listener.endpoint.text)
        await listener.close()
        await loop.shutDown()
        return result
    } catch {
        await listener.close()
        await loop.shutDown()
        throw error
    }
}

/// A directory of libqi, or one of ours.
func withEitherDirectory(libqis: Bool, home: String, _ body: (_ url: String) async throws -> Void) async throws {
    guard libqis else { return try await withDirectory(home: home) { _, url in try await body(url) } }
    try await withPeer("directory.py", [], home: home) { try await body($0.requiredLine()) }
}

/// A session of ours on the machine of `home`. It uses its connections also for services of this process.
func withSession<Result: Sendable>(
    _ url: String, home: String, listen: [String] = Session.Options().listen, tls: TLSOptions = TLSOptions(),
    _ body: (Session) async throws -> Result
) async throws -> Result {
    var options = Session.Options()
    options.callsInProcess = false
    options.tls = tls
    options.listen = listen
    options.machineID = try MachineID.loadOrCreate(home: home)
    options.logger = quiet
    return try await Session.with(url, options: options, body)
}

let quiet: Logger = {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    return logger
}()
