import Foundation
import Logging
import NIOPosix
import QiMesh
import QiMeshTesting
import QiMessaging
import QiWire
import XMPP

/// Where the accounts of a benchmark are.
struct BenchmarkAccounts: Sendable {
    let domain: String
    let host: String
    let port: UInt16
    let caFile: String

    init(_ server: ProsodyServer) { self.init(domain: server.domain, host: server.host, port: server.port, caFile: server.caFile) }

    init(domain: String, host: String, port: UInt16, caFile: String) {
        self.domain = domain
        self.host = host
        self.port = port
        self.caFile = caFile
    }
}

/// A whole node inside this process, in a home of its own, with an `Echo` service.
final class BenchmarkNode: Sendable {
    let jid: String
    private let user: String
    private let password: String
    private let node: MeshNode
    private let directory: String
    private let servers = AsyncStream.makeStream(of: DirectoryServer.self)

    /// - Parameter order: the ways to other nodes, best first; nil: as a configuration that says nothing of them.
    init(
        user: String, password: String, xmpp: BenchmarkAccounts, home: URL, order: [MeshConfiguration.Paths.Kind]? = nil
    ) throws {
        self.user = user
        self.password = password
        jid = "\(user)@\(xmpp.domain)"
        let own = home.appendingPathComponent(user)
        try FileManager.default.createDirectory(
            at: own, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let file = own.appendingPathComponent("password")
        try Data(password.utf8).write(to: file)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file.path)
        let paths = try MeshPaths(environment: ["HOME": own.path], home: own.path)
        var account = MeshConfiguration.Account(jid: jid)
        account.passwordFile = file.path
        account.server = HostPort("\(xmpp.host):\(xmpp.port)")
        account.caFile = xmpp.caFile
        account.accept = [JIDGlob("*@\(xmpp.domain)")].compactMap { $0 }
        var configuration = MeshConfiguration()
        configuration.xmpp = [account]
        if let order { configuration.paths.order = order }
        configuration.paths.inBandMax = 16_000_000
        configuration.internal.listen = ["unix:" + paths.directorySocket]
        directory = "unix:" + paths.directorySocket
        let servers = self.servers
        var logger = Logger(label: user)
        logger.logLevel = .error
        node = MeshNode(configuration: configuration, paths: paths, logger: logger) { _ in
        } onServer: { server in
            var echo = ObjectBuilder()
            echo.advertiseMethod("echo", "(s)", returns: "s") { arguments, _ in arguments[0] }
            echo.advertiseMethod("raw", "(r)", returns: "r") { arguments, _ in arguments[0] }
            _ = try await server.register(echo, as: "Echo")
            servers.continuation.yield(server)
        }
    }

    func run() async throws { try await node.run() }

    func server() async throws -> DirectoryServer {
        for await server in servers.stream { return server }
        throw BenchmarkFailure("the node of \(user) ended")
    }

    /// Makes the two contacts of each other, through the node's own control interface, and waits until `other` is online.
    func invite(_ other: BenchmarkNode) async throws { try await invite(user: other.user, jid: other.jid) }

    func invite(user: String, jid other: String) async throws {
        try await retrying {
            try await Session.with(self.directory) { session in
                let control = try await session.service("MeshControl3")
                let answer = try await control.call("invite", arguments: [.string(QiString(other)), .optional(.string(QiString(user)))])
                // A value, or why there is none.
                guard case .tuple(let parts) = answer, parts.count == 2, case .optional(nil) = parts[1] else {
                    throw BenchmarkFailure("\(user) was not invited: \(answer)")
                }
            }
        }
        try await retrying {
            try await Session.with(self.directory) { session in
                _ = try await session.service("\(user)/Echo", deadline: .seconds(30))
            }
        }
    }

    private func retrying(_ body: () async throws -> Void) async throws {
        var tries = 0
        while true {
            do { return try await body() } catch {
                tries += 1
                if tries > 200 { throw error }
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    /// Waits until calls to `other` go by that kind of path.
    func settle(on kind: MeshConfiguration.Paths.Kind, to other: String) async throws {
        try await Session.with(directory) { session in
            let control = try await session.service("MeshControl3")
            let answer = try await control.call(
                "path", arguments: [.string(QiString(other)), .string(QiString(kind.rawValue))], deadline: .seconds(60))
            guard case .tuple(let parts) = answer, case .optional(.some(.tuple(let row))) = parts.first, row.count > 1,
                case .optional(.some(.string(let name))) = row[1], name.description == kind.rawValue
            else { throw BenchmarkFailure("no \(kind) path to \(other): \(answer)") }
        }
    }

    /// A second connection of the same account, for the baseline.
    func pingClient(_ xmpp: BenchmarkAccounts) throws -> XMPPClient {
        guard let address = JID(jid) else { throw BenchmarkFailure("no address") }
        var configuration = XMPPConfiguration(jid: address, password: password, resource: "ping")
        configuration.server = .init(host: xmpp.host, port: xmpp.port)
        configuration.caFile = xmpp.caFile
        configuration.limits.requestsPerSecond = 1_000_000
        return XMPPClient(
            configuration: configuration, logger: Logger(label: "ping"), eventLoopGroup: MultiThreadedEventLoopGroup.singleton)
    }
}
