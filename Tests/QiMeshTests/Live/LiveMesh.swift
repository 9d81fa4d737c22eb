import QiMesh
import QiMeshTesting
@testable import QiMessaging
import QiWire
import Testing

/// Tests of whole nodes on a real XMPP server. One after the other: they measure times, and each has three processes and more.
@Suite(.serialized, .timeLimit(.minutes(8)))
enum Live {}

/// Two nodes on a server of their own: `desk` calls, `pepper` offers services.
struct LiveMesh: Sendable {
    static let password = "secret"

    let xmpp: ProsodyServer
    let pepper: LiveNode
    let desk: LiveNode

    /// Makes the two contacts of each other through their control interfaces, and returns when each sees the other online.
    func meet() async throws {
        _ = try await eventually("desk's invitation") { try await desk.invite(pepper.jid, "pepper") }
        _ = try await eventually("pepper's invitation") { try await pepper.invite(desk.jid, "desk") }
        for (node, other) in [(desk, "pepper"), (pepper, "desk")] {
            _ = try await eventually("\(node.user) sees \(other)") {
                try await node.row(of: other)?.state == "online" ? true : nil
            }
        }
    }

    /// Runs `body` with a third node, with an account and a home of its own.
    func withNode(_ user: String, _ body: (LiveNode) async throws -> Void) async throws {
        try xmpp.register(user, password: Self.password)
        try await withTemporaryDirectory { folder in
            let node = try LiveNode(user, at: xmpp, in: folder)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await node.run() }
                try await node.online()
                try await body(node)
                group.cancelAll()
                try await group.waitForAll()
            }
        }
    }

    /// Runs `client.py` on desk's machine against a service of pepper's.
    func battery(_ service: String, _ arguments: [String] = []) async throws {
        let usual = ["--payload", "262144", "--calls", "200", "--deadline", "40", "--service", service]
        try await runBattery(try await desk.url(), home: desk.home, usual + arguments)
    }

    /// Runs `body` with Python's service on pepper's machine, under that name.
    func withPython<Result: Sendable>(_ name: String, _ body: (PythonPeer) async throws -> Result) async throws -> Result {
        try await withPeer("service.py", ["--url", try await pepper.url(), "--name", name], home: pepper.home) { peer in
            #expect(try await peer.requiredLine() == "ready")
            return try await body(peer)
        }
    }
}

/// Runs `body` with two nodes that have met.
///
/// - Parameters:
///   - others: accounts beside theirs.
///   - meeting: whether they are made contacts of each other; otherwise they are only online.
///   - services: registers what pepper offers; by default the Swift form of the peers' service, as `Peer`.
func withMesh(
    pathLoss: Duration = .seconds(30), others: [String] = [], meeting: Bool = true,
    services: @escaping @Sendable (DirectoryServer) async throws -> Void = { _ = try await $0.register(PeerService.object(), as: "Peer") },
    _ body: (LiveMesh) async throws -> Void
) async throws {
    let accounts = (["pepper", "desk"] + others).map { ($0, LiveMesh.password) }
    let xmpp = try ProsodyServer.start(accounts: accounts)
    defer { xmpp.stop() }
    try await withTemporaryDirectory { folder in
        let mesh = LiveMesh(
            xmpp: xmpp, pepper: try LiveNode("pepper", at: xmpp, in: folder, pathLoss: pathLoss, services: services),
            desk: try LiveNode("desk", at: xmpp, in: folder, pathLoss: pathLoss))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for node in [mesh.pepper, mesh.desk] { group.addTask { try await node.run() } }
            if meeting {
                try await mesh.meet()
            } else {
                for node in [mesh.pepper, mesh.desk] { try await node.online() }
            }
            try await body(mesh)
            group.cancelAll()
            try await group.waitForAll()
        }
    }
}
