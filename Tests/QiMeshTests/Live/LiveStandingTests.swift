import Foundation
import Glibc
import QiMesh
import QiMeshTesting
@testable import QiMessaging
import QiWire
import Testing

/// Nothing outside ends the bus: accounts, servers, files and doors come and go, and the directory serves all the while.
extension Live {
    @Suite(.serialized, .timeLimit(.minutes(8)))
    struct StandingTests {
        /// Runs one node, with a Python client of its directory, through `body`.
        private func withNode(
            password: String? = LiveMesh.password, change: @escaping (inout MeshConfiguration) -> Void = { _ in },
            _ body: (LiveNode, ProsodyServer) async throws -> Void
        ) async throws {
            let xmpp = try ProsodyServer.start(accounts: [("pepper", LiveMesh.password), ("second", LiveMesh.password)])
            defer { xmpp.stop() }
            try await withTemporaryDirectory { folder in
                let node = try LiveNode(
                    "pepper", at: xmpp, in: folder, password: password, change: change,
                    services: { _ = try await $0.register(PeerService.object(), as: "Peer") })
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await node.run() }
                    try await body(node, xmpp)
                    try await serves(node)
                    group.cancelAll()
                    try await group.waitForAll()
                }
            }
        }

        /// A real client of the directory is served.
        private func serves(_ node: LiveNode) async throws {
            try await runBattery(try await node.url(), home: node.home, ["--service", "Peer", "--only", "types"])
        }

        @Test func missingPasswordIsWaitedFor() async throws {
            try await withNode(password: nil) { node, _ in
                let reason = try await node.reaches("refused")
                #expect(reason.contains(node.home + "/password"), "\(reason)")
                try await serves(node)
                try write(LiveMesh.password, to: node.home + "/password")
                try await node.reaches("online")
            }
        }

        @Test func wrongPasswordIsAStateUntilTheFileIsMended() async throws {
            try await withNode(password: "not-it") { node, xmpp in
                let reason = try await node.reaches("refused")
                #expect(reason.contains("not-authorized") && reason.contains("127.0.0.1:\(xmpp.port)"), "\(reason)")
                #expect(!reason.contains("not-it"))
                let since = try #require(try await node.account()?.since)
                #expect(since > 0)
                try await serves(node)
                try write(LiveMesh.password, to: node.home + "/password")
                try await node.reaches("online")
            }
        }

        @Test func passwordThatIsChangedWhileOnlineLeavesTheBusAlone() async throws {
            try await withNode { node, xmpp in
                try await node.online()
                try xmpp.register("pepper", password: "another")
                xmpp.suspend()
                try xmpp.resume()
                #expect(try await node.reaches("refused").contains("not-authorized"))
                try await serves(node)
                try write("another", to: node.home + "/password")
                try await node.reaches("online")
            }
        }

        @Test func serverThatIsNotThereYetIsWaitedFor() async throws {
            try await withNode(change: { $0.xmpp[0].server = HostPort("127.0.0.1:1") }) { node, xmpp in
                let reason = try await node.reaches("waiting")
                #expect(reason.contains("127.0.0.1:1 ") && reason.contains("Connection refused"), "\(reason)")
                try await serves(node)
            }
        }

        @Test func accountsComeAndGoWhileTheNodeRuns() async throws {
            try await withNode { node, xmpp in
                try await node.online()
                var second = node.configuration.xmpp[0]
                second.jid = "second@\(xmpp.domain)"
                var configuration = node.configuration
                configuration.xmpp.append(second)
                #expect(await node.reload(configuration) == [])
                try await node.reaches("online", account: second.jid)
                // The first one was not touched.
                #expect(try await node.account()?.state == "online")
                configuration.xmpp[1].resource = "other"
                #expect(await node.reload(configuration) == [])
                _ = try await eventually("the second account begins anew") {
                    let row = try await node.account(second.jid)
                    return row?.resource == "other" && row?.state == "online" ? true : nil
                }
                configuration.xmpp.remove(at: 1)
                #expect(await node.reload(configuration) == [])
                #expect(try await node.account(second.jid) == nil)
                configuration.xmpp = []
                #expect(await node.reload(configuration) == [])
                #expect(try await node.account() == nil)
            }
        }

        @Test func whatIsReloadedWhileTheNodeStartsIsTakenOver() async throws {
            try await withNode { node, _ in
                var configuration = node.configuration
                configuration.device.name = "early"
                #expect(await node.reload(configuration) == [])
                let status = try await node.status()
                #expect(status.name == "early")
            }
        }

        @Test func nameAndModelChangeWhileTheNodeRunsAndOthersAreListed() async throws {
            try await withNode { node, _ in
                var configuration = node.configuration
                configuration.device.name = "nao"
                configuration.device.model = "NAO V6"
                configuration.limits.callsPerPeer = 7
                _ = try await node.url()
                #expect(await node.reload(configuration) == ["limits"])
                let status = try await node.status()
                #expect(status.name == "nao" && status.model == "NAO V6")
                #expect(try await node.control { try await $0.identity() }.name == "nao")
            }
        }

        @Test func doorWhosePortIsTakenIsWaitedFor() async throws {
            let taken = try Squatter()
            let change: (inout MeshConfiguration) -> Void = { configuration in
                configuration.gateway = MeshConfiguration.Gateway(listen: ["tcps://127.0.0.1:\(taken.port)"])
            }
            try await withNode(change: change) { node, _ in
                let reason = try await eventually("the door says why it is not open") {
                    let text = try await node.status().door?.gatewayTrouble
                    return text
                }
                #expect(reason.contains("\(taken.port)") && reason.lowercased().contains("in use"), "\(reason)")
                try await serves(node)
                try await node.reaches("online")
                taken.leave()
                _ = try await eventually("the door is open") {
                    let status = try await node.status()
                    return status.door?.gateway.isEmpty == false && status.door?.gatewayTrouble == nil ? true : nil
                }
            }
        }

        @Test func servicesOfAContactAreCountedThroughItsTunnelOrNotAtAll() async throws {
            try await withMesh { mesh in
                let before = try #require(try await mesh.desk.row(of: "pepper"))
                #expect(before.services == nil)
                let listed = try await mesh.desk.control { try await $0.services(of: "pepper") }.count
                let row = try #require(try await mesh.desk.row(of: "pepper"))
                #expect(row.services == listed)
            }
        }
    }
}

/// Another program that has a port.
private final class Squatter: Sendable {
    let port: UInt16
    private let descriptor: Int32

    init() throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let number = descriptor
        let status = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(number, pointer, length) == 0 && listen(number, 1) == 0 ? getsockname(number, pointer, &length) : -1
            }
        }
        guard status == 0 else { throw Missing(description: "no port: errno \(errno)") }
        port = UInt16(bigEndian: address.sin_port)
    }

    func leave() { close(descriptor) }
}
