import Logging
import NIOCore
import NIOPosix
import QiMeshTesting
import Synchronization
import Testing

@testable import XMPP

@Suite(.serialized, .timeLimit(.minutes(8)))
struct LiveLoginTests {
    @Test func logsInAndLeaves() async throws {
        let server = try ProsodyServer.start(accounts: [("pepper", "secret")])
        defer { server.stop() }
        let pepper = try Party("pepper", at: server)
        try await pepper.running {
            #expect(try pepper.full().description == "pepper@mesh.test/qimesh")
            let time = try await pepper.client.ping(#require(JID("mesh.test")))
            #expect(time > .zero)
        }
        guard case .stopped(nil) = pepper.client.state else {
            Issue.record("\(pepper.client.state)")
            return
        }
    }

    /// Runs the client until it is refused, and returns why; then goes on with `body` and stops it.
    private func refusal(of party: Party, then body: @Sendable @escaping () async throws -> Void = {}) async throws -> XMPPError {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await party.client.run() }
            let error = try await party.events.first { event -> XMPPError? in
                if case .state(.refused(_, _, let reason)) = event { reason } else { nil }
            }
            try await body()
            party.client.shutdown()
            try await group.waitForAll()
            return error
        }
    }

    @Test func wrongPasswordIsAStateThatANewPasswordEnds() async throws {
        let server = try ProsodyServer.start(accounts: [("pepper", "secret")])
        defer { server.stop() }
        let password = Mutex("wrong")
        let pepper = try Party("pepper", at: server) { $0.password = { () throws(XMPPError) in password.withLock { $0 } } }
        let error = try await refusal(of: pepper) {
            password.withLock { $0 = "secret" }
            pepper.client.tryNow()
            try await pepper.online()
        }
        #expect(error.code == .notAuthorized)
        #expect(error.message.contains("not-authorized") && error.message.contains("127.0.0.1:\(server.port)"), "\(error)")
        #expect(!error.description.contains("wrong"))
    }

    @Test func passwordIsNotShownToAServerThatAsksForIt() async throws {
        let server = try ProsodyServer.start(
            accounts: [("pepper", "secret")],
            extraConfig: "disable_sasl_mechanisms = { \"SCRAM-SHA-1\", \"SCRAM-SHA-256\", \"SCRAM-SHA-1-PLUS\", \"SCRAM-SHA-256-PLUS\" }")
        defer { server.stop() }
        let error = try await refusal(of: try Party("pepper", at: server))
        #expect(error.code == .notAuthorized)
        #expect(error.message.contains("(PLAIN)") && error.message.contains("sasl-plain"), "\(error)")
        let willing = try Party("pepper", at: server) { $0.allowsPlain = true }
        try await willing.running { #expect(willing.client.state.isOnline) }
    }

    /// Takes one client after the other, and tells each to go elsewhere.
    private func withReferral(to place: @escaping @Sendable () -> String, _ body: (UInt16) async throws -> Void) async throws {
        let referrer = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        let port = try #require(referrer.channel.localAddress?.port)
        try await referrer.executeThenClose { connections in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for try await connection in connections {
                        try await connection.executeThenClose { inbound, outbound in
                            for try await _ in inbound { break }
                            let text = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' id='1' version='1.0' from='mesh.test' "
                                + "xmlns:stream='http://etherx.jabber.org/streams'><stream:error><see-other-host "
                                + "xmlns='urn:ietf:params:xml:ns:xmpp-streams'>\(place())</see-other-host></stream:error></stream:stream>"
                            try await outbound.write(ByteBuffer(string: text))
                        }
                    }
                }
                try await body(UInt16(port))
                group.cancelAll()
            }
        }
    }

    @Test func anotherHostIsFollowedWithTheSameChecks() async throws {
        let server = try ProsodyServer.start(accounts: [("pepper", "secret")])
        defer { server.stop() }
        try await withReferral(to: { "127.0.0.1:\(server.port)" }) { port in
            let pepper = try Party("pepper", at: server) { $0.server = .init(host: "127.0.0.1", port: port) }
            let bound = try await pepper.running { try pepper.full().bare }
            #expect(bound == pepper.jid)
            // The other host's certificate has to be the domain's, like that of any.
            let strict = try Party("pepper", at: server) {
                $0.server = .init(host: "127.0.0.1", port: port)
                $0.caFile = nil
            }
            #expect(try await refusal(of: strict).code == .certificate)
        }
    }

    @Test func hostsThatSendInCirclesAreLeft() async throws {
        let server = try ProsodyServer.start(accounts: [("pepper", "secret")])
        defer { server.stop() }
        let own = Mutex<UInt16>(0)
        try await withReferral(to: { "127.0.0.1:\(own.withLock { $0 })" }) { port in
            own.withLock { $0 = port }
            let pepper = try Party("pepper", at: server) { $0.server = .init(host: "127.0.0.1", port: port) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await pepper.client.run() }
                let reason = try await pepper.events.first { event -> XMPPError? in
                    if case .state(.waiting(_, let reason)) = event { reason } else { nil }
                }
                #expect(reason.message.contains("see-other-host"), "\(reason)")
                pepper.client.shutdown()
                try await group.waitForAll()
            }
        }
    }

    @Test func connectionThatIsRefusedNamesThePlaceAndTheReason() async throws {
        let server = try ProsodyServer.start(accounts: [("pepper", "secret")])
        defer { server.stop() }
        let pepper = try Party("pepper", at: server)
        server.suspend()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await pepper.client.run() }
            let reason = try await pepper.events.first { event -> XMPPError? in
                if case .state(.waiting(_, let reason)) = event { reason } else { nil }
            }
            #expect(reason.message.contains("127.0.0.1:\(server.port)") && reason.message.contains("Connection refused"), "\(reason)")
            pepper.client.shutdown()
            try await group.waitForAll()
        }
    }

    @Test func loginsAtTheSameTimeDoNotSpoilEachOther() async throws {
        let users = ["a", "b", "c", "d"]
        let server = try ProsodyServer.start(accounts: users.map { ($0, "secret") })
        defer { server.stop() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for user in users {
                group.addTask {
                    for _ in 0..<15 { try await Party(user, at: server).running {} }
                }
            }
            try await group.waitForAll()
        }
    }

    @Test func unknownAuthorityIsRefused() async throws {
        let server = try ProsodyServer.start(accounts: [("pepper", "secret")])
        defer { server.stop() }
        let pepper = try Party("pepper", at: server) { $0.caFile = nil }
        let error = try await refusal(of: pepper)
        #expect(error.code == .certificate)
        #expect(error.message.contains("issued by") && error.message.contains("ca-file"), "\(error)")
    }

    @Test func directTLS() async throws {
        let server = try ProsodyServer.start(accounts: [("pepper", "secret")])
        defer { server.stop() }
        let pepper = try Party("pepper", at: server) {
            $0.server?.port = server.directTLSPort
            $0.directTLS = true
        }
        try await pepper.running { #expect(pepper.client.state.isOnline) }
    }

    @Test func domainTheServerDoesNotServeIsTriedAgain() async throws {
        let server = try ProsodyServer.start(accounts: [("pepper", "secret")])
        defer { server.stop() }
        let pepper = try Party("pepper", at: server) { configuration in
            if let jid = JID("pepper@elsewhere.test") { configuration.jid = jid }
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await pepper.client.run() }
            let reason = try await pepper.events.first { event -> XMPPError? in
                if case .state(.waiting(_, let reason)) = event { reason } else { nil }
            }
            #expect(reason.message.contains("does not serve elsewhere.test"), "\(reason)")
            pepper.client.shutdown()
            try await group.waitForAll()
        }
    }

    @Test func certificateOfAnotherDomainIsRefused() async throws {
        // The certificate names mesh.test only; the account is of a domain the server serves as well.
        let server = try ProsodyServer.start(
            accounts: [("pepper", "secret")], extraConfig: "VirtualHost \"elsewhere.test\"")
        defer { server.stop() }
        let pepper = try Party("pepper", at: server) { configuration in
            if let jid = JID("pepper@elsewhere.test") { configuration.jid = jid }
            configuration.server?.port = server.directTLSPort
            configuration.directTLS = true
        }
        let error = try await refusal(of: pepper)
        #expect(error.code == .certificate)
        #expect(error.message.contains("it is for mesh.test") && error.message.contains("not for elsewhere.test"), "\(error)")
    }

    @Test func unreachableServerIsTriedAgain() async throws {
        let server = try ProsodyServer.start(accounts: [("pepper", "secret")])
        defer { server.stop() }
        let pepper = try Party("pepper", at: server)
        server.suspend()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await pepper.client.run() }
            let reason = try await pepper.events.first { event -> XMPPError? in
                if case .state(.waiting(_, let reason)) = event { reason } else { nil }
            }
            #expect(reason.code == .unreachable)
            let error = try await #require(throws: XMPPError.self) {
                try await pepper.client.iq(to: nil, .get, Element("query", namespace: Namespaces.roster))
            }
            #expect(error.code == .notConnected)
            try server.resume()
            try await pepper.online()
            // Cancellation ends it as well as `shutdown()`.
            group.cancelAll()
            try await group.waitForAll()
        }
        guard case .stopped(nil) = pepper.client.state else {
            Issue.record("\(pepper.client.state)")
            return
        }
    }

    @Test func anotherConnectionWithTheSameResourceIsNotFought() async throws {
        let server = try ProsodyServer.start(accounts: [("pepper", "secret")])
        defer { server.stop() }
        let first = try Party("pepper", at: server)
        let second = try Party("pepper", at: server)
        try await first.running {
            try await second.running {
                let (pause, reason) = try await first.events.first { event -> (Duration, XMPPError)? in
                    if case .state(.waiting(let pause, let reason)) = event { (pause, reason) } else { nil }
                }
                #expect(pause == .seconds(60))
                #expect(reason.code == .conflict)
            }
        }
    }

    @Test func handshakeThatNeverEndsCanBeStopped() async throws {
        // Takes connections and says nothing: libstrophe waits for TLS without a deadline, on the client's own thread.
        let silent = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        let port = try #require(silent.channel.localAddress?.port)
        let server = try ProsodyServer.start(accounts: [("pepper", "secret")])
        defer { server.stop() }
        let pepper = try Party("pepper", at: server) {
            $0.server = .init(host: "127.0.0.1", port: UInt16(port))
            $0.directTLS = true
        }
        try await silent.executeThenClose { connections in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await pepper.client.run() }
                for try await connection in connections {
                    try await connection.executeThenClose { inbound, _ in
                        // Its first words show that it is inside the handshake.
                        for try await hello in inbound where hello.readableBytes > 0 { break }
                        pepper.client.shutdown()
                        try await group.waitForAll()
                    }
                    break
                }
            }
        }
        guard case .stopped(nil) = pepper.client.state else {
            Issue.record("\(pepper.client.state)")
            return
        }
    }

    @Test func configurationThatCannotWorkIsNotTried() async throws {
        let jid = try #require(JID("mesh.test"))
        let client = XMPPClient(
            configuration: XMPPConfiguration(jid: jid, password: ""), logger: Logger(label: "test"),
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton)
        let error = try await #require(throws: XMPPError.self) { try await client.run() }
        #expect(error.code == .configuration)
        let again = try await #require(throws: XMPPError.self) { try await client.run() }
        #expect(again.code == .configuration)
    }
}
