import QiMeshTesting
import Testing

@testable import XMPP

/// The one kind of request that may be opened to accounts that are no contacts.
@Suite(.serialized, .timeLimit(.minutes(8)))
struct LiveOpenRequestTests {
    @Test func strangersReachTheOpenRequestAndNothingElse() async throws {
        let server = try ProsodyServer.start(accounts: [("pepper", "secret"), ("eve", "secret")])
        defer { server.stop() }
        let pepper = try Party("pepper", at: server)
        let eve = try Party("eve", at: server)
        try await pepper.running {
            pepper.client.handleIQ(namespace: "urn:test", name: "closed") { _ in .success(Element("told")) }
            pepper.client.handleIQFromAnybody(namespace: "urn:test", name: "open") { request in
                switch request.payload.text {
                case "nobody": nil
                case "refuse": .failure(StanzaError(.auth, "not-authorized"))
                default: .success(Element("hello", namespace: "urn:test", text: "\(request.from.bare)"))
                }
            }
            try await eve.running {
                let target = try pepper.full()
                let open = Element("open", namespace: "urn:test")
                let answer = try await eve.client.iq(to: target, .set, open)
                #expect(answer?.text == "\(eve.jid)")
                #expect(try await eve.error(from: target, .set, Element("open", namespace: "urn:test", text: "nobody")) == .serviceUnavailable)
                let refused = try await eve.error(from: target, .set, Element("open", namespace: "urn:test", text: "refuse"))
                #expect(refused?.condition == "not-authorized")
                for (kind, payload) in [
                    (IQRequest.Kind.get, open), (.set, Element("closed", namespace: "urn:test")), (.get, Element("closed", namespace: "urn:test")),
                    (.set, Element("open", namespace: "urn:test:2")), (.get, Element("ping", namespace: Namespaces.ping)),
                ] {
                    #expect(try await eve.error(from: target, kind, payload) == .serviceUnavailable, "\(kind) \(payload)")
                }
                pepper.client.handleIQFromAnybody(namespace: "urn:test", name: "open", nil)
                #expect(try await eve.error(from: target, .set, open) == .serviceUnavailable)
            }
        }
    }

    @Test func contactsReachItTheSameWay() async throws {
        try await withFriends { desk, pepper in
            pepper.client.handleIQFromAnybody(namespace: "urn:test", name: "open") { _ in .success(Element("hello", namespace: "urn:test")) }
            let answer = try await desk.client.iq(to: try pepper.full(), .set, Element("open", namespace: "urn:test"))
            #expect(answer?.name == "hello")
        }
    }

    @Test func ourOwnOtherConnectionsDoNot() async throws {
        let server = try ProsodyServer.start(accounts: [("pepper", "secret")])
        defer { server.stop() }
        let pepper = try Party("pepper", at: server)
        let phone = try Party("pepper", at: server) { $0.resource = "phone" }
        try await pepper.running {
            pepper.client.handleIQFromAnybody(namespace: "urn:test", name: "open") { _ in .success(nil) }
            try await phone.running {
                let answer = try await phone.error(from: try pepper.full(), .set, Element("open", namespace: "urn:test"))
                #expect(answer == .serviceUnavailable)
            }
        }
    }

    /// A flood of strangers costs contacts nothing, and runs few handlers at a time.
    @Test func aFloodOfStrangersHasItsOwnShare() async throws {
        let server = try ProsodyServer.start(accounts: [("pepper", "secret"), ("desk", "secret"), ("eve", "secret")])
        defer { server.stop() }
        let pepper = try Party("pepper", at: server) { $0.limits.openHandlersAtOnce = 1 }
        let desk = try Party("desk", at: server)
        let eve = try Party("eve", at: server)
        try await pepper.running {
            try await desk.running {
                try await desk.befriend(pepper)
                // Does not end before it is cancelled, at the latest when the client stops.
                pepper.client.handleIQFromAnybody(namespace: "urn:test", name: "open") { _ in
                    for await _ in AsyncStream<Void>.makeStream().stream {}
                    return nil
                }
                try await eve.running {
                    let target = try pepper.full()
                    let open = Element("open", namespace: "urn:test")
                    try await withThrowingTaskGroup(of: StanzaError?.self) { group in
                        for _ in 0..<8 { group.addTask { try await eve.error(from: target, .set, open) } }
                        // All but the one that runs.
                        for _ in 0..<7 { #expect(try await group.next() == .serviceUnavailable) }
                        _ = try await desk.client.ping(target)
                        group.cancelAll()
                        await #expect(throws: XMPPError.self) { try await group.waitForAll() }
                    }
                }
            }
        }
    }
}
