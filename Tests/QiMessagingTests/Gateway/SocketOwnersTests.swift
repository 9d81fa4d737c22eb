import Glibc
import NIOCore
import NIOPosix
@testable import QiMessaging
import Testing

/// Which user of this machine is at the other end.
@Suite(.timeLimit(.minutes(8))) struct SocketOwnersTests {
    private typealias End = (IPAddress, UInt16)

    private func withPair(_ host: String, _ body: (_ client: End, _ server: End) async throws -> Void) async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let listener = try await ServerBootstrap(group: group).bind(host: host, port: 0).get()
        let address = try #require(listener.localAddress)
        let client = try await ClientBootstrap(group: group).connect(to: address).get()
        func end(_ address: SocketAddress?) throws -> End {
            let address = try #require(address)
            return (try #require(address.ipAddress.flatMap { IPAddress($0) }), UInt16(try #require(address.port)))
        }
        try await body(end(client.localAddress), end(client.remoteAddress))
        try await client.close()
        try await listener.close()
    }

    @Test(arguments: ["127.0.0.1", "127.0.0.9", "::1"])
    func ourOwnUserIsFoundByBothWays(_ host: String) async throws {
        try await withPair(host) { client, server in
            #expect(SocketOwners().owner(of: client, to: server) == .user(geteuid()))
            #expect(SocketList.user(of: client, to: server) == geteuid())
        }
    }

    @Test func aSocketThatIsNotThereIsUnknownOnThisMachineAndElsewhereOnOthers() async throws {
        try await withPair("127.0.0.1") { client, server in
            let owners = SocketOwners()
            #expect(owners.owner(of: (client.0, 1), to: server) == .unknown)
            // The listener at the port of a client is not the client.
            #expect(owners.owner(of: server, to: (client.0, 1)) == .unknown)
            let far = try #require(IPAddress("192.0.2.7"))
            let near = try #require(IPAddress("192.0.2.1"))
            #expect(owners.owner(of: (far, 4711), to: (near, server.1)) == .elsewhere)
            // With our own address it is here.
            #expect(owners.owner(of: (near, 4711), to: (near, server.1)) == .unknown)
        }
    }

    /// proc(5), as a kernel of 64 bits writes it on x86.
    @Test func aListIsReadByItsColumns() throws {
        let list = """
              sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
               0: 0100007F:2555 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 91476 1 0000000095811644 100 0 0 10 0
               1: 0100007F:C350 0100007F:2555 01 00000000:00000000 00:00000000 00000000  1000        0 91477 1 0000000095811644 20 4 30 10 -1
               2: 0100007F:C351 0100007F:2555 04 00000000:00000000 00:00000000 00000000     0        0 0 1 0000000095811644 20 4 30 10 -1
            """
        let loopback = try #require(IPAddress("127.0.0.1"))
        let server = SocketList.text((loopback, 9557))
        #expect(server == "0100007F:2555")
        #expect(SocketList.user(SocketList.text((loopback, 50_000)), server, in: list) == 1000)
        // Closed by its process: of user 0 by the list, which root would be.
        #expect(SocketList.user(SocketList.text((loopback, 50_001)), server, in: list) == nil)
        #expect(SocketList.user(server, "00000000:0000", in: list) == nil)
    }
}
