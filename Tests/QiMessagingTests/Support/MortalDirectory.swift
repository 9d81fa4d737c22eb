import NIOPosix
@testable import QiMessaging
import Synchronization
import Testing

/// A directory that can be killed and started again at the same address.
final class MortalDirectory: Sendable {
    let endpoint: Endpoint
    private let machineID: String
    private let journal: String?
    private let master: Endpoint?
    private let running = Mutex<(server: DirectoryServer, listener: Listener)?>(nil)

    /// - Parameters:
    ///   - folder: where its socket and, if it keeps one, its journal are.
    ///   - master: whose member it is.
    init(in folder: String, name: String = "sd", machineID: String = "test-machine", keepsJournal: Bool = true, master: Endpoint? = nil) throws {
        endpoint = try #require(Endpoint("unix:\(folder)/\(name)"))
        journal = keepsJournal ? "\(folder)/\(name).journal" : nil
        self.machineID = machineID
        self.master = master
    }

    var server: DirectoryServer {
        get throws { try #require(running.withLock { $0?.server }) }
    }

    /// - Parameter prepare: what happens before anybody can connect.
    @discardableResult
    func start(_ prepare: (DirectoryServer) async throws -> Void = { _ in }) async throws -> DirectoryServer {
        let loop = BusLoop(on: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet)
        let server = try await DirectoryServer.make(on: loop, machineID: machineID, journal: journal)
        if let master { try await server.join(master: master) }
        try await prepare(server)
        let listener = try await server.listen(at: endpoint)
        running.withLock { $0 = (server, listener) }
        return server
    }

    /// Its end without a word: nothing is written down of it.
    func kill() async throws {
        guard let (server, listener) = running.withLock({ running in
            defer { running = nil }
            return running
        }) else { return }
        try await server.closeJournal()
        await listener.close()
        await server.loop.shutDown()
    }

    /// Runs `body` with one that is running, and ends it however `body` ends.
    static func with<Result>(
        keepsJournal: Bool = true, _ body: (MortalDirectory) async throws -> Result
    ) async throws -> Result {
        try await withFolder { folder in
            let directory = try MortalDirectory(in: folder, keepsJournal: keepsJournal)
            try await directory.start()
            return try await directory.ending { try await body(directory) }
        }
    }

    /// Runs `body`, and ends this directory however `body` ends.
    func ending<Result>(_ body: () async throws -> Result) async throws -> Result {
        do {
            let result = try await body()
            try await kill()
            return result
        } catch {
            try await kill()
            throw error
        }
    }
}

extension Session {
    /// Returns when the session has noticed that its directory is away.
    func isAway() async -> QiError? {
        for await state in states { if case .reconnecting(let error) = state { return error } }
        return nil
    }

    func isBack() async { for await state in states where state.isConnected { return } }
}

/// A session for tests that restart its directory.
func withSession<Result: Sendable>(
    of directory: MortalDirectory, machineID: String = "test-machine", gap: Session.Gap = .fail, _ body: (Session) async throws -> Result
) async throws -> Result {
    var options = Session.Options()
    options.machineID = machineID
    options.logger = quiet
    options.gap = gap
    options.callsInProcess = false
    return try await Session.with(directory.endpoint.text, options: options, body)
}
