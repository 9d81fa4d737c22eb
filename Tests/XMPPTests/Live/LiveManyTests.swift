import Foundation
import NIOCore
import QiMeshTesting
import Testing

@testable import XMPP

/// Large contact lists, many at once.
@Suite(.serialized, .timeLimit(.minutes(8)))
struct LiveManyTests {
    /// A server on which pepper and each of these users see each other, by Prosody's mod_groups. The users do not see one another: eighty
    /// that ask one another keep two cores busy for minutes.
    private func withContacts(_ users: [String], accounts: [String], _ body: (ProsodyServer) async throws -> Void) async throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("groups-\(UUID().uuidString).txt")
        defer { try? FileManager.default.removeItem(at: file) }
        let groups = users.map { user in
            let name = "The device that is called \(user) \(String(repeating: "x", count: 60))"
            return "[\(user)]\npepper@mesh.test=pepper\n\(user)@mesh.test=\(name)\n"
        }
        try Data(groups.joined().utf8).write(to: file)
        let server = try ProsodyServer.start(
            accounts: accounts.map { ($0, "secret") }, extraConfig: "groups_file = \"\(file.path)\"", modules: ["groups"])
        defer { server.stop() }
        try await body(server)
    }

    @Test func sixHundredContactsComeOnline() async throws {
        let users = (0..<600).map { "device-number-\($0)" }
        try await withContacts(users, accounts: ["pepper"]) { server in
            let pepper = try Party("pepper", at: server)
            try await pepper.running { #expect(pepper.client.roster().count == 600) }
        }
    }

    @Test func contactListOverTheLimitFailsInWords() async throws {
        let users = (0..<600).map { "device-number-\($0)" }
        try await withContacts(users, accounts: ["pepper"]) { server in
            let pepper = try Party("pepper", at: server) { $0.limits.rosterBytes = 50_000 }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await pepper.client.run() }
                // On a machine under load the first connections may be lost for other reasons.
                let reason = try await pepper.events.first { event -> XMPPError? in
                    if case .state(.waiting(_, let reason)) = event, reason.message.contains("contact list") { reason } else { nil }
                }
                #expect(reason.message.contains("larger"), "\(reason)")
                pepper.client.shutdown()
                try await group.waitForAll()
            }
        }
    }

    @Test func everyoneOnlineAtLoginIsAskedWhatItCanDo() async throws {
        let users = (0..<80).map { "d\($0)" }
        try await withContacts(users, accounts: ["pepper"] + users) { server in
            // Each with another hash.
            let devices = try users.map { user in try Party(user, at: server) { $0.features = ["urn:test:\(user)"] } }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for device in devices { group.addTask { try await device.client.run() } }
                for device in devices { try await device.online() }
                let pepper = try Party("pepper", at: server)
                try await pepper.running {
                    for device in devices {
                        let jid = try device.full()
                        try await pepper.events.first { event -> Bool? in
                            if case .presence(let resource) = event, resource.jid == jid, resource.disco != nil { true } else { nil }
                        }
                    }
                }
                for device in devices { device.client.shutdown() }
                try await group.waitForAll()
            }
        }
    }

    @Test func twoHundredRequestsAtOnceAreAllAnswered() async throws {
        try await withFriends { desk, pepper in
            let address = try pepper.full()
            let answers = try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<200 {
                    group.addTask {
                        try await desk.error(from: address, .get, Element("query", namespace: Namespaces.version))?.condition ?? "result"
                    }
                }
                return try await group.reduce(into: [String: Int]()) { $0[$1, default: 0] += 1 }
            }
            #expect(Set(answers.keys) == ["result", "resource-constraint"], "\(answers)")
            #expect(answers.values.reduce(0, +) == 200)
        }
    }

    @Test func nodesOfItsOwnAreDescribedBesideTheCapabilities() async throws {
        try await withFriends { desk, pepper in
            let before = try await desk.client.discoInfo(of: pepper.full())
            pepper.client.setDiscoNode("urn:test:device") { _ in
                DiscoInfo(
                    identities: [.init(category: "client", type: "bot", name: "nao")], features: [Namespaces.discoInfo],
                    forms: [.init(type: "urn:test:device", fields: ["model": ["V6"]])])
            }
            // A request of its own passes behind what it was told: the node is there when this is answered.
            _ = try await pepper.client.ping(try #require(JID(pepper.jid.domain)))
            let address = try pepper.full()
            let described = try await desk.client.discoInfo(of: address, node: "urn:test:device")
            #expect(described.forms.first?.fields == ["model": ["V6"]])
            let same = Element("query", namespace: Namespaces.discoInfo)
            let answer = try await desk.client.iq(to: address, .get, same)
            #expect(try EntityCapabilities.parse(answer, strictly: true) == before)
            let unknown = Element("query", namespace: Namespaces.discoInfo, attributes: ["node": "urn:test:nothing"])
            #expect(try await desk.error(from: address, .get, unknown)?.condition == "item-not-found")
        }
    }

    /// Two requests arrive in one piece, and the handler of the first changes what the second is answered with.
    @Test func whatAClientIsToldBeforeItLooksAtARequestIsInForceForIt() async throws {
        try await withFriends { desk, pepper in
            let node = "urn:test:late"
            pepper.client.setDiscoItems { [client = pepper.client] _ in
                client.setDiscoNode(node) { _ in DiscoInfo(identities: [], features: ["urn:test:told"], forms: []) }
                return []
            }
            let server = try #require(JID(pepper.jid.domain))
            // A request of its own passes behind what it was told.
            _ = try await pepper.client.ping(server)
            let release = DispatchSemaphore(value: 0)
            pepper.client.host.enqueue { _ in release.wait() }
            defer { release.signal() }
            let target = try pepper.full()
            desk.client.sendRaw("<iq type='get' id='first' to='\(target)'><query xmlns='\(Namespaces.discoItems)'/></iq>")
            async let second = desk.client.discoInfo(of: target, node: node)
            // The server has passed both on when it answers what was asked later.
            for _ in 0..<3 { _ = try await desk.client.ping(server) }
            release.signal()
            #expect(try await second.features == ["urn:test:told"])
        }
    }
}
