import QiMeshTesting
import Testing

@testable import XMPP

/// Contacts, presence, discovery and publishing between two clients on a real server.
@Suite(.serialized, .timeLimit(.minutes(8)))
struct LiveContactTests {
    @Test func invitedAndApprovedIsMutual() async throws {
        try await withFriends { desk, pepper in
            #expect(desk.client.isMutual(pepper.jid))
            #expect(pepper.client.isMutual(desk.jid))
            #expect(desk.client.roster().map(\.name) == ["the other"])
            #expect(pepper.client.pendingSubscriptionRequests().isEmpty)
            let resource = try #require(desk.client.resources(of: pepper.jid).first)
            #expect(resource.jid == (try pepper.full()))
            #expect(resource.priority == -1)
        }
    }

    @Test func requestWaitsUntilDenied() async throws {
        let server = try ProsodyServer.start(accounts: [("pepper", "secret"), ("desk", "secret")])
        defer { server.stop() }
        let pepper = try Party("pepper", at: server)
        let desk = try Party("desk", at: server)
        try await pepper.running {
            try await desk.running {
                try await desk.client.subscribe(to: pepper.jid, token: "let me in")
                let request = try await pepper.events.first { event -> SubscriptionRequest? in
                    if case .request(let request) = event { request } else { nil }
                }
                #expect(request == SubscriptionRequest(from: desk.jid, token: "let me in"))
                #expect(pepper.client.pendingSubscriptionRequests() == [request])
                try await pepper.client.denySubscription(of: desk.jid)
                #expect(pepper.client.pendingSubscriptionRequests().isEmpty)
                #expect(!desk.client.isMutual(pepper.jid))
                #expect(desk.client.resources(of: pepper.jid).isEmpty)
            }
        }
    }

    @Test func removalEndsPresence() async throws {
        try await withFriends { desk, pepper in
            try await desk.client.removeRosterItem(pepper.jid)
            for side in [desk, pepper] {
                try await side.events.first { event -> Bool? in
                    if case .presence(let resource) = event, !resource.isAvailable { true } else { nil }
                }
            }
            #expect(!desk.client.isMutual(pepper.jid))
            #expect(desk.client.roster().isEmpty)
        }
    }

    @Test func presenceChangesAndEnds() async throws {
        try await withFriends { desk, pepper in
            pepper.client.setPresence(show: .dnd, status: "walking \u{1} & <talking>")
            let busy = try await desk.events.first { event -> PresenceResource? in
                if case .presence(let resource) = event, resource.show == .dnd { resource } else { nil }
            }
            // The forbidden character is gone, and nothing was taken for markup.
            #expect(busy.status == "walking  & <talking>")
            pepper.client.shutdown()
            let gone = try await desk.events.first { event -> PresenceResource? in
                if case .presence(let resource) = event, !resource.isAvailable { resource } else { nil }
            }
            #expect(gone.jid.bare == pepper.jid)
            #expect(desk.client.resources(of: pepper.jid).isEmpty)
        }
    }

    @Test func capabilitiesVerifyAndFollowChanges() async throws {
        try await withFriends { desk, pepper in
            let before = try await desk.events.first { event -> PresenceResource? in
                if case .presence(let resource) = event, resource.disco != nil { resource } else { nil }
            }
            let info = try #require(before.disco)
            #expect(EntityCapabilities.version(info) == before.capabilities?.version)
            #expect(info.identities == [.init(category: "client", type: "bot")])
            #expect(info.has(Namespaces.jingle) && !info.has("urn:qimesh:tunnel:1"))
            pepper.client.setFeatures(["urn:qimesh:tunnel:1"])
            try await desk.events.first { event -> Bool? in
                if case .presence(let resource) = event, resource.disco?.has("urn:qimesh:tunnel:1") == true {
                    true
                } else {
                    nil
                }
            }
            #expect(try await desk.client.discoInfo(of: pepper.full()).has("urn:qimesh:tunnel:1"))
        }
    }

    @Test func whatComesFromAConnectionIsASignOfLifeAndAnErrorInItsNameIsNone() async throws {
        try await withFriends { desk, pepper in
            let (asker, asked) = (try desk.full(), try pepper.full())
            func hasHeard(_ party: Party, _ connection: JID) -> Bool {
                party.events.all.contains { if case .heard(connection, isPresence: false) = $0 { true } else { false } }
            }
            // One sign a second is told, and its presence has just been one.
            let server = try #require(JID(desk.jid.domain))
            let start = ContinuousClock.now
            while ContinuousClock.now - start < .milliseconds(1_100) { _ = try await desk.client.ping(server) }
            _ = try await desk.client.ping(asked)
            #expect(hasHeard(desk, asked) && hasHeard(pepper, asker))
            let nobody = try #require(pepper.jid.with(resource: "nobody"))
            let error = try await #require(throws: XMPPError.self) { try await desk.client.ping(nobody) }
            #expect(error.stanzaError?.condition == "service-unavailable")
            // The server's own answers are nobody's sign of life.
            _ = try await desk.client.ping(server)
            #expect(desk.events.all.allSatisfy { if case .heard(let connection, _) = $0 { connection == asked } else { true } })
        }
    }

    @Test func itemsDependOnTheAsker() async throws {
        try await withFriends { desk, pepper in
            let asker = try desk.full()
            pepper.client.setDiscoItems { who in
                who == asker ? [DiscoItem(jid: who, node: "ALMotion", name: "moves & \"turns\"")] : []
            }
            // A request of its own passes behind what it was told.
            _ = try await pepper.client.ping(try #require(JID(pepper.jid.domain)))
            let items = try await desk.client.discoItems(of: pepper.full())
            #expect(items == [DiscoItem(jid: asker, node: "ALMotion", name: "moves & \"turns\"")])
            let error = try await #require(throws: XMPPError.self) {
                try await desk.client.discoItems(of: pepper.full(), node: "nothing")
            }
            #expect(error.stanzaError == .itemNotFound)
        }
    }

    @Test func publishedItemReachesContacts() async throws {
        let server = try ProsodyServer.start(accounts: [("pepper", "secret"), ("desk", "secret"), ("eve", "secret")])
        defer { server.stop() }
        let node = "urn:qimesh:services:1"
        let pepper = try Party("pepper", at: server)
        let desk = try Party("desk", at: server) { $0.features = ["\(node)+notify"] }
        let eve = try Party("eve", at: server)
        let payload = Element("services", namespace: node, attributes: ["epoch": "1", "generation": "2"])
        try await pepper.running {
            try await desk.running {
                try await desk.befriend(pepper)
                try await pepper.client.publish(node: node, payload)
                let item = try await desk.events.first { event -> Element? in
                    if case .pep(let from, node, let item) = event, from == pepper.jid { item } else { nil }
                }
                #expect(item["id"] == "current")
                #expect(item["services", node]?["generation"] == "2")
                let fetched = try await desk.client.fetchPEP(of: pepper.jid, node: node)
                #expect(fetched.first?["services", node]?["generation"] == "2")
                #expect(try await desk.client.fetchPEP(of: pepper.jid, node: "urn:nothing").isEmpty)
            }
            try await eve.running {
                let error = try await #require(throws: XMPPError.self) {
                    try await eve.client.fetchPEP(of: pepper.jid, node: node)
                }
                #expect(error.stanzaError?.type == .auth)
            }
        }
    }
}
