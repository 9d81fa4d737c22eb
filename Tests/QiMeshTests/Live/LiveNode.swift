import Foundation
import Logging
import QiMesh
import QiMeshTesting
@testable import QiMessaging
import QiWire

/// A whole node inside this process, in a home of its own.
final class LiveNode: Sendable {
    let user: String
    let jid: String
    /// Its home, which is also that of the Python peers on its machine.
    let home: String
    /// Its directory's unix socket; open once ``url()`` has returned.
    let socket: String
    let paths: MeshPaths
    /// What it began with.
    let configuration: MeshConfiguration
    private let node: MeshNode
    private let endpoints = Once<[String]>()
    private let registered = Once<DirectoryServer>()

    /// - Parameters:
    ///   - password: what the account's password file holds; nil for none.
    ///   - services: registers what this process offers at the node.
    init(
        _ user: String, at xmpp: ProsodyServer, in folder: String, pathLoss: Duration = .seconds(30),
        password: String? = LiveMesh.password, change: (inout MeshConfiguration) -> Void = { _ in },
        services: @escaping @Sendable (DirectoryServer) async throws -> Void = { _ in }
    ) throws {
        self.user = user
        jid = "\(user)@\(xmpp.domain)"
        home = "\(folder)/\(user)"
        try FileManager.default.createDirectory(
            atPath: home, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        if let password { try write(password, to: home + "/password") }
        // Contacts may do here what there is to do; without a policy they may not write.
        let policy = home + "/policy.yaml"
        try write("rules:\n  - who: \"domain:\(xmpp.domain)\"\n    allow: [\"*\"]\n", to: policy)
        paths = try MeshPaths(environment: ["HOME": home])
        socket = "unix:" + paths.directorySocket
        var account = MeshConfiguration.Account(jid: jid)
        account.passwordFile = home + "/password"
        account.server = HostPort("\(xmpp.host):\(xmpp.port)")
        account.caFile = xmpp.caFile
        var configuration = MeshConfiguration()
        configuration.policy = policy
        configuration.xmpp = [account]
        configuration.limits.pathLoss = pathLoss
        // Calls end as soon after their path is known to be dead.
        configuration.paths.resume = pathLoss
        configuration.internal.listen = [socket, "tcp://127.0.0.1:0"]
        change(&configuration)
        self.configuration = configuration
        let (endpoints, registered) = (endpoints, registered)
        node = MeshNode(configuration: configuration, paths: paths, environment: [:], logger: quiet) { urls in
            endpoints.settle(.success(urls))
        } onServer: { server in
            try await services(server)
            registered.settle(.success(server))
        }
    }

    /// Until the task is cancelled.
    func run() async throws {
        let result: Result<Void, any Error>
        do { result = .success(try await node.run()) } catch { result = .failure(error) }
        // Whoever still waits for the node waits in vain.
        let error: any Error = if case .failure(let error) = result { error } else { CancellationError() }
        endpoints.settle(.failure(error))
        registered.settle(.failure(error))
        if !Task.isCancelled { try result.get() }
    }

    /// Takes over another configuration, as SIGHUP does.
    func reload(_ configuration: MeshConfiguration) async -> [String] { await node.reload(configuration) }

    /// Its account as `status` tells it.
    func account(_ jid: String? = nil) async throws -> AccountStatus? {
        try await status().accounts.first { $0.jid == jid ?? self.jid }
    }

    /// Until its account is in that state; returns why.
    @discardableResult
    func reaches(_ state: String, account: String? = nil) async throws -> String {
        try await eventually("\(account ?? user) is \(state)") {
            guard let row = try await self.account(account), row.state == state else { return nil }
            return row.reason ?? ""
        }
    }

    /// The TCP address of its directory.
    func url() async throws -> String { try await endpoints.value[0] }

    func server() async throws -> DirectoryServer { try await registered.value }

    /// Runs `body` with a session on its unix socket.
    func session<Result: Sendable>(_ body: (Session) async throws -> Result) async throws -> Result {
        _ = try await url()
        return try await withSession(socket, home: home, listen: ["unix:\(home)/listen"], body)
    }

    /// Asks its control interface, as the command line does.
    func control<Value: QiConvertible & Sendable>(
        _ question: (MeshControlProxy) async throws -> Answer<Value>
    ) async throws -> Value {
        try await session { session in
            var node = try await session.service(MeshControlProxy.self)
            node.deadline = .seconds(40)
            return try await question(node).get()
        }
    }

    func invite(_ jid: String, _ name: String) async throws -> ContactChange { try await control { try await $0.invite(jid, name: name) } }

    func revoke(_ device: String) async throws { _ = try await control { try await $0.revoke(device) } }

    func acceptKey(of contact: String, _ fingerprint: String) async throws {
        _ = try await control { try await $0.acceptKey(of: contact, fingerprint) }
    }

    func status() async throws -> NodeStatus { try await control { try await $0.status() } }

    /// Makes a pairing token, as `qimesh enroll` does.
    func enroll(name: String? = nil, seconds: Int? = nil) async throws -> MadeToken {
        try await control { try await $0.enroll(name: name, account: nil, seconds: seconds) }
    }

    /// Uses one, as `qimesh pair` does.
    func pair(_ token: String, name: String? = nil, seconds: Int = 20) async throws -> PairedDevice {
        try await control { try await $0.pair(token, name: name, account: nil, seconds: seconds, ticket: "test") }
    }

    /// Until its account is connected.
    func online() async throws {
        _ = try await eventually("\(user) is online") {
            try await status().accounts.first?.state == "online" ? true : nil
        }
    }

    /// Its row about another device, under the name or address it goes by here.
    func row(of device: String) async throws -> DeviceRow? {
        try await control { try await $0.devices() }.first { $0.name == device || $0.jid == device }
    }

    /// The key it has pinned for an address.
    func pin(of jid: String) throws -> KeyFingerprint? { try TrustStore(file: paths.trustFile).entry(jid: jid)?.key }

    func fingerprint() throws -> KeyFingerprint {
        try DeviceIdentity.loadOrCreate(directory: paths.stateDirectory).fingerprint
    }
}

extension QiValue {
    /// A member of a map with string keys.
    subscript(key: String) -> QiValue? { asMap?.first { $0.key.asString == key }?.value }
}
