import NIOCore
import NIOEmbedded
import NIOSSL
import NIOTLS
import Testing

@testable import QiMesh

@Suite struct TunnelTLSTests {
    private func withIdentities(_ body: (DeviceIdentity, DeviceIdentity) throws -> Void) throws {
        try withTemporaryDirectory { base in
            try body(
                try DeviceIdentity.loadOrCreate(directory: base + "/one"),
                try DeviceIdentity.loadOrCreate(directory: base + "/two"))
        }
    }

    /// Our server with a client of the given configuration. Returns what the two saw, and where the client's key went.
    private func serve(
        _ identity: DeviceIdentity, client change: (inout TLSConfiguration) -> Void
    ) throws -> (pair: EmbeddedTLSPair, peer: PeerKey) {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .noHostnameVerification
        configuration.trustRoots = .certificates([])
        configuration.applicationProtocols = ["qimesh/1"]
        configuration.certificateChain = [.certificate(try NIOSSLCertificate(bytes: Array(Fixtures.p256.utf8), format: .pem))]
        configuration.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: Array(Fixtures.p256Key.utf8), format: .pem))
        change(&configuration)
        let context = try NIOSSLContext(configuration: configuration)
        let peer = PeerKey()
        let pair = try EmbeddedTLSPair(
            client: { channel in
                let handler = try NIOSSLClientHandler(
                    context: context, serverHostname: nil,
                    customVerificationCallback: { _, promise in promise.succeed(.certificateVerified) })
                try channel.pipeline.syncOperations.addHandler(handler)
            },
            server: { try TunnelTLS(identity: identity).addServerHandlers(to: $0, peer: peer) })
        try pair.send("hello", from: pair.client)
        return (pair, peer)
    }

    @Test func reportsBothKeysAndCarriesBytes() throws {
        try withIdentities { one, two in
            let serverKey = PeerKey()
            let clientKey = PeerKey()
            let pair = try EmbeddedTLSPair(
                client: { try TunnelTLS(identity: one).addClientHandlers(to: $0, peer: serverKey) },
                server: { try TunnelTLS(identity: two).addServerHandlers(to: $0, peer: clientKey) })
            #expect(pair.clientSaw.handshakeCompleted && pair.serverSaw.handshakeCompleted)
            #expect(serverKey.fingerprint == two.fingerprint)
            #expect(clientKey.fingerprint == one.fingerprint)
            #expect(serverKey.refusal == nil && clientKey.refusal == nil)
            try pair.send("call", from: pair.client)
            try pair.send("reply", from: pair.server)
            #expect(pair.serverSaw.received == "call")
            #expect(pair.clientSaw.received == "reply")
            #expect(pair.clientSaw.errors.isEmpty && pair.serverSaw.errors.isEmpty)
        }
    }

    /// One `TunnelTLS` serves many connections, and every connection proves its key anew: nothing is resumed.
    @Test func examinesEveryConnection() throws {
        try withIdentities { one, two in
            let client = TunnelTLS(identity: one)
            let server = TunnelTLS(identity: two)
            for _ in 0..<3 {
                let serverKey = PeerKey()
                let clientKey = PeerKey()
                let pair = try EmbeddedTLSPair(
                    client: { try client.addClientHandlers(to: $0, peer: serverKey) },
                    server: { try server.addServerHandlers(to: $0, peer: clientKey) })
                try pair.send("x", from: pair.client)
                try pair.send("y", from: pair.server)
                #expect(pair.clientSaw.received == "y")
                #expect(serverKey.fingerprint == two.fingerprint)
                #expect(clientKey.fingerprint == one.fingerprint)
            }
        }
    }

    /// The clients of the next tests differ from this one in one point each.
    @Test func acceptsAForeignClientThatKeepsTheRules() throws {
        try withIdentities { identity, _ in
            let (pair, peer) = try serve(identity) { _ in }
            #expect(pair.serverSaw.received == "hello")
            #expect(peer.fingerprint?.description == KeyFingerprintTests.text)
        }
    }

    @Test func refusesTLS12() throws {
        try withIdentities { identity, _ in
            let (pair, peer) = try serve(identity) { $0.maximumTLSVersion = .tlsv12 }
            #expect(!pair.serverSaw.handshakeCompleted)
            #expect(pair.serverSaw.received.isEmpty)
            #expect(!pair.serverSaw.errors.isEmpty)
            #expect(peer.fingerprint == nil)
        }
    }

    @Test func refusesAClientWithoutCertificate() throws {
        try withIdentities { identity, _ in
            let (pair, peer) = try serve(identity) {
                $0.certificateChain = []
                $0.privateKey = nil
            }
            #expect(!pair.serverSaw.handshakeCompleted)
            #expect(pair.serverSaw.received.isEmpty)
            #expect(!pair.serverSaw.errors.isEmpty)
            #expect(peer.fingerprint == nil)
        }
    }

    @Test(arguments: [["other/1"], []])
    func refusesAnotherApplicationProtocol(_ protocols: [String]) throws {
        try withIdentities { identity, _ in
            let (pair, _) = try serve(identity) { $0.applicationProtocols = protocols }
            #expect(pair.serverSaw.received.isEmpty)
            #expect(!pair.serverSaw.handshakeCompleted)
            #expect(!pair.server.isActive)
            #expect(pair.serverSaw.errors.compactMap { $0 as? MeshError }.map(\.code) == [.violation])
        }
    }

    /// Closing TLS waits for the peer; one that goes on sending instead is not listened to.
    @Test func dropsWhatFollowsARefusedProtocol() throws {
        let saw = Observations()
        let channel = EmbeddedChannel(handlers: [ApplicationProtocolHandler(), saw])
        channel.pipeline.fireUserInboundEventTriggered(TLSUserEvent.handshakeCompleted(negotiatedProtocol: "other/1"))
        channel.pipeline.fireChannelRead(ByteBuffer(string: "call"))
        #expect(saw.received.isEmpty)
        #expect(saw.errors.count == 1)
    }

    @Test func refusesAClientWithTwoCertificates() throws {
        try withIdentities { identity, _ in
            let second = try NIOSSLCertificate(bytes: Array(Fixtures.foreign.utf8), format: .pem)
            let (pair, peer) = try serve(identity) { $0.certificateChain.append(.certificate(second)) }
            #expect(pair.serverSaw.received.isEmpty)
            #expect(peer.fingerprint == nil)
            #expect(peer.refusal?.message == "the peer sent 2 certificates instead of one")
        }
    }

    @Test func judgeEndsTheConnectionWithItsReason() throws {
        try withIdentities { one, two in
            let refusal = MeshError(.trust, "not this one")
            let clientKey = PeerKey { _ throws(MeshError) in throw refusal }
            let pair = try EmbeddedTLSPair(
                client: { try TunnelTLS(identity: one).addClientHandlers(to: $0, peer: PeerKey()) },
                server: { try TunnelTLS(identity: two).addServerHandlers(to: $0, peer: clientKey) })
            try pair.send("secret", from: pair.client)
            #expect(pair.serverSaw.received.isEmpty)
            #expect(clientKey.fingerprint == nil)
            #expect(clientKey.refusal?.message == "not this one")
            #expect(clientKey.refusedFingerprint == one.fingerprint)
            #expect(!pair.clientSaw.errors.isEmpty)
        }
    }

    @Test func clientRefusesAServerByItsKey() throws {
        try withIdentities { one, two in
            let serverKey = PeerKey { key throws(MeshError) in
                guard key == one.fingerprint else { throw MeshError(.trust, "changed") }
            }
            let pair = try EmbeddedTLSPair(
                client: { try TunnelTLS(identity: one).addClientHandlers(to: $0, peer: serverKey) },
                server: { try TunnelTLS(identity: two).addServerHandlers(to: $0, peer: PeerKey()) })
            #expect(!pair.clientSaw.handshakeCompleted)
            #expect(!pair.serverSaw.handshakeCompleted)
            #expect(serverKey.refusedFingerprint == two.fingerprint)
        }
    }

    @Test func bytesThatAreNoTLSEndTheConnection() throws {
        try withIdentities { identity, _ in
            let pair = try EmbeddedTLSPair(
                client: { _ in }, server: { try TunnelTLS(identity: identity).addServerHandlers(to: $0, peer: PeerKey()) })
            try pair.send("GET / HTTP/1.1\r\n\r\n", from: pair.client)
            #expect(!pair.serverSaw.errors.isEmpty)
            #expect(!pair.server.isActive)
        }
    }
}
