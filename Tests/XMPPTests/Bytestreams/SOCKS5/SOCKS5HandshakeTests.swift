import NIOCore
import Testing

@testable import XMPP

/// The two sides of a SOCKS5 handshake (RFC 1928, RFC 1929), fed in every way a network may cut the bytes.
@Suite struct SOCKS5HandshakeTests {
    private typealias Client = SOCKS5ClientStateMachine
    private typealias Server = SOCKS5ServerStateMachine

    private static let name = String(repeating: "0123456789", count: 4)

    // MARK: Client

    /// All bytes that a client sends and how it ends, when a server's bytes come in pieces of that size.
    private static func run(_ client: Client, _ server: [UInt8], pieces: Int) -> (sent: [[UInt8]], end: String) {
        var client = client
        var sent = [client.begin().map { Array($0.readableBytesView) } ?? []]
        for start in stride(from: 0, to: server.count, by: pieces) {
            client.received(ByteBuffer(bytes: server[start..<min(start + pieces, server.count)]))
            steps: while true {
                switch client.next() {
                case .wait: break steps
                case .send(let bytes): sent.append(Array(bytes.readableBytesView))
                case .connected(let rest): return (sent, "connected \(rest.readableBytes)")
                case .fail(let fault): return (sent, "\(fault)")
                }
            }
        }
        return (sent, client.closed().map(\.description) ?? "no fault")
    }

    private static let request: [UInt8] = [5, 1, 0, 3, 40] + Array(name.utf8) + [0, 0]
    private static let reply: [UInt8] = [5, 0, 0, 3, 40] + Array(name.utf8) + [0, 0]

    @Test(arguments: [1, 2, 3, 7, 1000]) func clientConnectsHoweverTheServersBytesAreCut(_ pieces: Int) throws {
        let client = try Client(domain: Self.name, port: 0)
        let (ipv4, ipv6) = ([5, 0, 0, 1, 127, 0, 0, 1, 0, 0] as [UInt8], [5, 0, 0, 4] + [UInt8](repeating: 0, count: 18))
        for reply in [Self.reply, ipv4, ipv6, [5, 0, 0, 3, 0, 0, 0]] {
            let (sent, end) = Self.run(client, [5, 0] + reply, pieces: pieces)
            #expect(sent == [[5, 1, 0], Self.request])
            #expect(end == "connected 0")
        }
    }

    @Test func clientHandsOverWhatFollowsTheReply() throws {
        let client = try Client(domain: Self.name, port: 0)
        #expect(Self.run(client, [5, 0] + Self.reply + [1, 2, 3], pieces: 1000).end == "connected 3")
    }

    @Test(arguments: [1, 2, 1000]) func clientGivesItsCredentialsOnlyWhenAsked(_ pieces: Int) throws {
        let client = try Client(domain: Self.name, port: 0, credentials: .init(name: "me", password: "secret"))
        let asked = Self.run(client, [5, 2, 1, 0] + Self.reply, pieces: pieces)
        #expect(asked.sent == [[5, 2, 0, 2], [1, 2] + Array("me".utf8) + [6] + Array("secret".utf8), Self.request])
        #expect(asked.end == "connected 0")
        let notAsked = Self.run(client, [5, 0] + Self.reply, pieces: pieces)
        #expect(notAsked.sent == [[5, 2, 0, 2], Self.request])
    }

    @Test(arguments: [
        ([4, 0], SOCKS5Fault.version(4)), ([72], .version(72)), ([5, 0xFF], .method(0xFF)), ([5, 2], .method(2)), ([5, 1], .method(1)),
        ([5, 0, 4], .version(4)), ([5, 0, 5, 2], .refused(2)), ([5, 0, 5, 1, 0, 3, 0, 0, 0], .refused(1)),
        ([5, 0, 5, 0, 0, 9], .addressType(9)), ([5, 0, 5, 0, 0, 3], .closed), ([5], .closed), ([], .closed),
    ] as [([UInt8], SOCKS5Fault)]) func clientSaysWhatIsWrongWithAServer(_ server: [UInt8], _ fault: SOCKS5Fault) throws {
        for pieces in [1, 1000] {
            #expect(Self.run(try Client(domain: Self.name, port: 0), server, pieces: pieces).end == fault.description)
        }
    }

    @Test func refusedCredentialsAreToldApart() throws {
        let client = try Client(domain: Self.name, port: 0, credentials: .init(name: "me", password: "wrong"))
        #expect(Self.run(client, [5, 2, 1, 1], pieces: 1).end == SOCKS5Fault.credentials.description)
    }

    @Test func clientRefusesWhatDoesNotFitIntoAByteOfLength() {
        let long = String(repeating: "x", count: 256)
        #expect(throws: SOCKS5Fault.tooLong) { _ = try Client(domain: long, port: 0) }
        #expect(throws: SOCKS5Fault.tooLong) { _ = try Client(domain: "", port: 0) }
        #expect(throws: SOCKS5Fault.tooLong) { _ = try Client(domain: "x", port: 0, credentials: .init(name: long, password: "x")) }
    }

    @Test func clientDoesNothingMoreAfterItsEnd() throws {
        var client = try Client(domain: Self.name, port: 0)
        #expect(client.begin() != nil)
        check(client.begin(), nil)
        client.received(ByteBuffer(bytes: [5, 0xFF]))
        check(client.next(), .fail(.method(0xFF)))
        client.received(ByteBuffer(bytes: [5, 0]))
        check(client.next(), .wait)
        check(client.closed(), nil)
    }

    // MARK: Server

    private enum Decision { case grant, refuse }

    /// All bytes that a server sends and how it ends, when a client's bytes come in pieces of that size.
    private static func serve(_ client: [UInt8], pieces: Int, _ decision: Decision = .grant) -> (sent: [UInt8], end: String) {
        var server = Server()
        var sent: [UInt8] = []
        for start in stride(from: 0, to: client.count, by: pieces) {
            server.received(ByteBuffer(bytes: client[start..<min(start + pieces, client.count)]))
            steps: while true {
                switch server.next() {
                case .wait: break steps
                case .send(let bytes): sent += bytes.readableBytesView
                case .fail(let fault, let answer): return (sent + answer.readableBytesView, "\(fault)")
                case .decide(let name):
                    switch server.decided(isGranted: decision == .grant && name == Self.name) {
                    case .connected(let answer, let rest): return (sent + answer.readableBytesView, "connected \(rest.readableBytes)")
                    case .fail(let fault, let answer): return (sent + answer.readableBytesView, "\(fault)")
                    case .nothing: return (sent, "nothing")
                    }
                }
            }
        }
        return (sent, server.closed().map(\.description) ?? "no fault")
    }

    @Test(arguments: [1, 2, 3, 7, 1000]) func serverConnectsHoweverTheClientsBytesAreCut(_ pieces: Int) {
        for greeting in [[5, 1, 0], [5, 2, 0, 2], [5, 3, 1, 2, 0]] as [[UInt8]] {
            let (sent, end) = Self.serve(greeting + Self.request, pieces: pieces)
            #expect(sent == [5, 0] + Self.reply)
            #expect(end == "connected 0")
        }
    }

    @Test func serverHandsOverWhatFollowsTheRequest() {
        #expect(Self.serve([5, 1, 0] + Self.request + [1, 2, 3], pieces: 1000).end == "connected 3")
    }

    @Test func serverReadsAnUpperCaseNameAsTheSame() {
        let name = String(repeating: "ABCDEF0123", count: 4)
        var server = Server()
        server.received(ByteBuffer(bytes: [5, 1, 0]))
        check(server.next(), .send(ByteBuffer(bytes: [5, 0])))
        server.received(ByteBuffer(bytes: [5, 1, 0, 3, 40] + Array(name.utf8) + [0, 0]))
        check(server.next(), .decide(name.lowercased()))
        check(server.next(), .wait)
    }

    private static let notAllowed: [UInt8] = [5, 2, 0, 1, 0, 0, 0, 0, 0, 0]

    /// What a server answers to clients that are none of ours; the first ends a well-known server's process.
    @Test(arguments: [
        ([5, 1], [], SOCKS5Fault.closed), ([], [], .closed), ([5], [], .closed), ([5, 255, 0], [], .closed),
        ([4, 1, 0, 80, 127, 0, 0, 1, 0], [], .version(4)), (Array("GET / HTTP/1.1\r\n".utf8), [], .version(71)),
        ([5, 0], [5, 0xFF], .method(0xFF)), ([5, 2, 1, 2], [5, 0xFF], .method(0xFF)),
        ([5, 1, 0, 4, 1], [5, 0], .version(4)),
        ([5, 1, 0, 5, 2, 0, 3], [5, 0, 5, 7, 0, 1, 0, 0, 0, 0, 0, 0], .command(2)),
        ([5, 1, 0, 5, 3, 0, 3], [5, 0, 5, 7, 0, 1, 0, 0, 0, 0, 0, 0], .command(3)),
        ([5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, 0, 80], [5, 0, 5, 8, 0, 1, 0, 0, 0, 0, 0, 0], .addressType(1)),
        ([5, 1, 0, 5, 1, 0, 9], [5, 0, 5, 8, 0, 1, 0, 0, 0, 0, 0, 0], .addressType(9)),
        ([5, 1, 0, 5, 1, 0, 3, 0, 0, 0], [5, 0] + notAllowed, .destination),
        ([5, 1, 0, 5, 1, 0, 3, 1, 255, 0, 0], [5, 0] + notAllowed, .destination),
        ([5, 1, 0, 5, 1, 0, 3, 40] + Array(name.utf8) + [0, 80], [5, 0] + notAllowed, .destination),
        ([5, 1, 0, 5, 1, 0, 3, 40] + [UInt8](repeating: 0x67, count: 40) + [0, 0], [5, 0] + notAllowed, .destination),
        ([5, 1, 0, 5, 1, 0, 3, 255] + [UInt8](repeating: 0x61, count: 257), [5, 0] + notAllowed, .destination),
        ([5, 1, 0, 5, 1, 0, 3, 40] + Array(name.utf8), [5, 0], .closed),
    ] as [([UInt8], [UInt8], SOCKS5Fault)])
    func serverRefusesOtherClientsProperly(_ client: [UInt8], _ answer: [UInt8], _ fault: SOCKS5Fault) {
        for pieces in [1, 2, 1000] {
            let (sent, end) = Self.serve(client, pieces: pieces)
            #expect(end == fault.description)
            #expect(sent == answer)
        }
    }

    @Test func serverRefusesABytestreamThatMayNotBeJoined() {
        let (sent, end) = Self.serve([5, 1, 0] + Self.request, pieces: 1, .refuse)
        #expect(sent == [5, 0] + Self.notAllowed)
        #expect(end == SOCKS5Fault.destination.description)
    }

    @Test func serverIsAskedOnceAndIgnoresALateDecision() {
        var server = Server()
        check(server.decided(isGranted: true), .nothing)
        server.received(ByteBuffer(bytes: [5, 1, 0] + Self.request))
        check(server.next(), .send(ByteBuffer(bytes: [5, 0])))
        check(server.next(), .decide(Self.name))
        check(server.next(), .wait)
        check(server.closed(), .closed)
        check(server.decided(isGranted: true), .nothing)
        check(server.closed(), nil)
    }

    // MARK: Names

    @Test func digestIsTheOneOfTheSpecification() throws {
        let romeo = try #require(JID("romeo@montague.lit/orchard"))
        let juliet = try #require(JID("juliet@capulet.lit/balcony"))
        #expect(StreamDigest.of(sid: "vj3hs98y", offering: romeo, other: juliet) == "972b7bf47291ca609517f67f86b5081086052dad")
        #expect(StreamDigest.of(sid: "vj3hs98y", offering: juliet, other: romeo) == "1a12fb7bc625e55f3ed5b29a53dbe0e4aa7d80ba")
    }

    @Test(arguments: [
        (String(repeating: "a", count: 40), true), (String(repeating: "A", count: 40), false), (String(repeating: "g", count: 40), false),
        (String(repeating: "0", count: 39), false), (String(repeating: "0", count: 41), false), ("", false),
    ]) func digestsAreFortyLowerCaseDigits(_ text: String, _ isValid: Bool) { #expect(StreamDigest.isValid(text) == isValid) }
}
