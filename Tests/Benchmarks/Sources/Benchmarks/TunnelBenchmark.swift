import Foundation
import Logging
import QiMesh
import QiMeshTesting
import QiMessaging
import XMPP

/// A call from a session inside one node to a service inside another, through the encrypted in-band tunnel, against a bare
/// XMPP ping between the same two accounts (aim: at most 1.5 times the ping).
enum TunnelBenchmark {
    static func run(_ arguments: [String]) async throws {
        guard let count = arguments.first.flatMap({ Int($0) }) else { throw BenchmarkFailure("usage: tunnel COUNT") }
        let prosody = try ProsodyServer.start(accounts: [("pepper", "secret-p"), ("desk", "secret-d")])
        defer { prosody.stop() }
        let xmpp = BenchmarkAccounts(prosody)
        let home = FileManager.default.temporaryDirectory.appendingPathComponent("qimesh-benchmark-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: home) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            let pepper = try BenchmarkNode(user: "pepper", password: "secret-p", xmpp: xmpp, home: home)
            let desk = try BenchmarkNode(user: "desk", password: "secret-d", xmpp: xmpp, home: home)
            group.addTask { try await pepper.run() }
            group.addTask { try await desk.run() }
            defer { group.cancelAll() }
            try await desk.invite(pepper)
            let server = try await desk.server()
            let echo = try await server.service("Echo", of: pepper.jid)
            let tunnel = try await Driving.latency(EchoCalls(echo), count)
            let ping = try await pings(from: desk, to: pepper, xmpp, count)
            report("result", "{\"ping\": \(ping.result), \"tunnel\": \(tunnel)}")
        }
    }

    private static func pings(
        from desk: BenchmarkNode, to pepper: BenchmarkNode, _ xmpp: BenchmarkAccounts, _ count: Int
    ) async throws -> Samples {
        try await withThrowingTaskGroup(of: Void.self) { group in
            let clients = try [desk, pepper].map { try $0.pingClient(xmpp) }
            for client in clients { group.addTask { try await client.run() } }
            defer { group.cancelAll() }
            guard let target = JID("\(pepper.jid)/ping") else { throw BenchmarkFailure("no address") }
            // The first pings may come before both are online: they are refused at once, and tried again.
            var tries = 0
            while true {
                do {
                    _ = try await clients[0].ping(target)
                    break
                } catch {
                    tries += 1
                    if tries > 200 { throw error }
                    try await Task.sleep(for: .milliseconds(50))
                }
            }
            let samples = try await Samples.measure(count) { _ = try await clients[0].ping(target) }
            for client in clients { client.shutdown() }
            return samples
        }
    }
}
