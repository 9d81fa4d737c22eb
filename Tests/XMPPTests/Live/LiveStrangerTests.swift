import QiMeshTesting
import Synchronization
import Testing

@testable import XMPP

/// What those get who are no contacts, and what bad stanzas get.
@Suite(.serialized, .timeLimit(.minutes(8)))
struct LiveStrangerTests {
    @Test func strangersSeeAndReachNothing() async throws {
        let server = try ProsodyServer.start(accounts: [("pepper", "secret"), ("eve", "secret")])
        defer { server.stop() }
        let pepper = try Party("pepper", at: server)
        let eve = try Party("eve", at: server)
        try await pepper.running {
            pepper.client.handleIQ(namespace: "urn:test", name: "secret") { _ in .success(Element("told")) }
            try await eve.running {
                let target = try pepper.full()
                // Our own account's other connections are strangers, too.
                let nobody = try #require(pepper.jid.with(resource: "nobody"))
                let requests = [
                    Element("ping", namespace: Namespaces.ping),
                    Element("query", namespace: Namespaces.discoInfo),
                    Element("query", namespace: Namespaces.discoItems),
                    Element("query", namespace: Namespaces.version),
                    Element("secret", namespace: "urn:test"),
                    Element("jingle", namespace: Namespaces.jingle, attributes: ["action": "session-initiate", "sid": "a"]),
                    Element("open", namespace: Namespaces.ibb, attributes: ["sid": "a", "block-size": "4096"]),
                    Element("data", namespace: Namespaces.ibb, attributes: ["sid": "a", "seq": "0"], text: "AAAA"),
                ]
                for payload in requests {
                    for kind in [IQRequest.Kind.get, .set] {
                        let answer = try await eve.error(from: target, kind, payload)
                        #expect(answer == .serviceUnavailable)
                        // The same as for a connection that does not exist.
                        #expect(try await eve.error(from: nobody, kind, payload) == answer)
                    }
                }
                // A forged change of the contact list.
                let push = Element(
                    "query", namespace: Namespaces.roster,
                    children: [Element("item", attributes: ["jid": eve.jid.description, "subscription": "both"])])
                #expect(try await eve.error(from: target, .set, push) == .serviceUnavailable)
                #expect(!pepper.client.isMutual(eve.jid))
                // Presence straight to the device.
                eve.client.sendRaw(
                    Element("presence", namespace: Namespaces.client, attributes: ["to": target.description]))
                _ = try await eve.error(from: target, .get, requests[0])
                #expect(pepper.client.resources(of: eve.jid).isEmpty)
            }
        }
    }

    @Test func otherConnectionsOfOurAccountAreStrangers() async throws {
        let server = try ProsodyServer.start(accounts: [("pepper", "secret")])
        defer { server.stop() }
        let pepper = try Party("pepper", at: server)
        let phone = try Party("pepper", at: server) { $0.resource = "phone" }
        try await pepper.running {
            try await phone.running {
                let answer = try await phone.error(from: try pepper.full(), .get, Element("ping", namespace: Namespaces.ping))
                #expect(answer == .serviceUnavailable)
                #expect(pepper.client.resources(of: pepper.jid).isEmpty)
            }
        }
    }

    @Test func contactsGetTheErrorsTheRFCNames() async throws {
        try await withFriends { desk, pepper in
            let target = try pepper.full()
            pepper.client.handleIQ(namespace: "urn:test", name: "sum") { request in
                .success(Element("sum", namespace: "urn:test", text: request.payload.text + "!"))
            }
            let table: [(IQRequest.Kind, Element, StanzaError?)] = [
                (.get, Element("ping", namespace: Namespaces.ping), nil),
                (.get, Element("query", namespace: Namespaces.version), nil),
                (.get, Element("sum", namespace: "urn:test", text: "1"), nil),
                (.get, Element("difference", namespace: "urn:test"), .featureNotImplemented),
                (.set, Element("ping", namespace: Namespaces.ping), .featureNotImplemented),
                (.set, Element("query", namespace: Namespaces.discoInfo), .featureNotImplemented),
                (.get, Element("query", namespace: "urn:unheard-of"), .serviceUnavailable),
                (.set, Element("query", namespace: Namespaces.roster), .serviceUnavailable),
                (
                    .get, Element("query", namespace: Namespaces.discoInfo, attributes: ["node": "urn:other"]),
                    .itemNotFound
                ),
            ]
            for (kind, payload, expected) in table {
                let answer = try await desk.error(from: target, kind, payload)
                #expect(answer == expected, "\(kind) \(payload)")
            }
            let sum = try await desk.client.iq(to: target, .get, Element("sum", namespace: "urn:test", text: "1"))
            #expect(sum?.text == "1!")
        }
    }

    /// The condition of the error that a request with these children is answered with.
    private static func condition(
        _ desk: Party, _ target: JID, type: String = "set", children: String
    ) async throws -> String? {
        do {
            _ = try await desk.client.rawRequest(to: target, type: type, children: children)
            return nil
        } catch {
            return error.stanzaError?.condition ?? error.code.description
        }
    }

    @Test func malformedRequestsAreAnsweredOnceAndHurtNobody() async throws {
        try await withFriends { desk, pepper in
            let target = try pepper.full()
            let to = target.description
            let ping = "<ping xmlns='urn:xmpp:ping'/>"
            #expect(try await Self.condition(desk, target, children: "") == "bad-request")
            #expect(try await Self.condition(desk, target, type: "get", children: ping + ping) == "bad-request")
            let deep = String(repeating: "<a xmlns='urn:a'>", count: 500) + String(repeating: "</a>", count: 500)
            #expect(try await Self.condition(desk, target, children: deep) == "not-acceptable")
            // So deep that releasing it recursively would overflow an ordinary thread's stack.
            let abyss = "<a xmlns='urn:a'>" + String(repeating: "<a>", count: 30_000)
                + String(repeating: "</a>", count: 30_000) + "</a>"
            #expect(try await Self.condition(desk, target, children: abyss) == "not-acceptable")
            let large = "<a xmlns='urn:a'>" + String(repeating: "x", count: 100_000) + "</a>"
            #expect(try await Self.condition(desk, target, children: large) == "not-acceptable")
            // Neither of these has an answer; the ping after them shows that nothing broke.
            desk.client.sendRaw("<message to='\(to)'><event xmlns='http://jabber.org/protocol/pubsub#event'/></message>")
            desk.client.sendRaw("<iq type='result' id='nobody-asked' to='\(to)'/>")
            desk.client.sendRaw("<presence to='\(to)' type='nonsense'/>")
            _ = try await desk.client.ping(pepper.full())
            #expect(pepper.client.state.isOnline)
        }
    }

    @Test func floodsAreRefusedInWordsAndDroppedWhenTheyGoOn() async throws {
        try await withFriends { desk, pepper in
            let target = try pepper.full()
            let outcomes = Mutex<[String: Int]>([:])
            desk.client.host.enqueue { session in
                for _ in 0..<2000 {
                    session.request(target, .get, PingExtension.question, timeout: .seconds(100)) { result in
                        let outcome =
                            switch result {
                            case .success: "served"
                            case .failure(let error): error.stanzaError?.condition ?? error.code.description
                            }
                        outcomes.withLock { $0[outcome, default: 0] += 1 }
                    }
                }
            }
            // One behind them is served when pepper has looked at all of them, and some time has passed.
            while (try? await desk.client.ping(target, timeout: .seconds(2))) == nil { try Task.checkCancellation() }
            let found = outcomes.withLock { $0 }
            let dropped = 2000 - found.values.reduce(0, +)
            #expect(Set(found.keys) == ["served", "resource-constraint"], "\(found)")
            #expect(found["served", default: 0] >= 50 && found["resource-constraint", default: 0] >= 1000, "\(found)")
            #expect(dropped >= 1, "\(found)")
        }
    }
}
