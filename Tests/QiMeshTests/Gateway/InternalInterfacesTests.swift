import QiMessaging
import Testing

@testable import QiMesh

@Suite struct InternalInterfacesTests {
    private static func address(_ interface: String, _ text: String, _ bits: Int) throws -> InternalInterfaces.Address {
        let address = try #require(IPAddress(text))
        return .init(interface: interface, address: address, network: try #require(IPNetwork(address, prefixLength: bits)))
    }

    /// A robot: its own network on eth1, the world on wlan0.
    private static func robot() throws -> InternalInterfaces {
        InternalInterfaces([
            try address("lo", "127.0.0.1", 8), try address("lo", "::1", 128), try address("eth1", "10.0.1.1", 24),
            try address("eth1", "fe80::1", 64), try address("wlan0", "192.168.1.7", 24),
        ])
    }

    private func urls(_ names: [String], _ listen: [String]) throws -> [String] { try Self.robot().named(names).listeners(listen).urls }

    private func missing(_ names: [String], _ listen: [String]) throws -> [String] {
        try Self.robot().named(names).listeners(listen).missing
    }

    @Test func aWildcardMeansTheInterfacesAlone() throws {
        #expect(
            try urls(["lo", "eth1"], ["unix:/run/sd", "tcp://0.0.0.0:9559"])
                == ["unix:/run/sd", "tcp://127.0.0.1:9559", "tcp://10.0.1.1:9559"])
        #expect(
            try urls(["lo", "eth1"], ["tcp://[::]:9559"]) == ["tcp://127.0.0.1:9559", "tcp://[::1]:9559", "tcp://10.0.1.1:9559"])
        #expect(try urls(["lo"], ["tcp://localhost:0"]) == ["tcp://127.0.0.1:0"])
    }

    @Test func whatCanNeverBeMetIsRefused() throws {
        let error = #expect(throws: MeshError.self) { try urls(["eth1"], ["tcp://localhost:9559"]) }
        #expect(error?.code == .configuration)
        #expect(error?.message == "internal.listen: tcp://localhost:9559 is at no address of eth1 (internal.interfaces)")
        #expect(error?.hint == "add the interface lo: internal.interfaces: [eth1, lo]")
        #expect(throws: MeshError.self) { try urls(["lo", "eth1"], ["tcp://robot.local:9559"]) }
    }

    /// What may come is no mistake; and is never listened at elsewhere.
    @Test func whatIsNotThereIsMissing() throws {
        #expect(try urls(["lo", "eth1"], ["tcp://192.168.1.7:9559", "tcp://127.0.0.1:9559"]) == ["tcp://127.0.0.1:9559"])
        #expect(try missing(["lo", "eth1"], ["tcp://192.168.1.7:9559"]) == ["tcp://192.168.1.7:9559 at lo, eth1"])
        #expect(try urls(["eth7", "lo"], ["tcp://0.0.0.0:9559"]) == ["tcp://127.0.0.1:9559"])
        #expect(try missing(["eth7", "lo"], ["tcp://0.0.0.0:9559"]) == ["the interface eth7"])
        #expect(try missing(["lo", "eth1"], ["tcp://0.0.0.0:9559", "tcp://[::]:9560"]).isEmpty)
        // It may be called otherwise than lo.
        #expect(try missing(["eth7"], ["tcp://localhost:9559"]) == ["the interface eth7", "tcp://localhost:9559 at eth7"])
    }

    /// Before the network has given it an address, an interface has a link-local one of IPv6.
    @Test func anInterfaceWithoutAnAddressOfTheKindIsMissing() throws {
        let early = InternalInterfaces([try Self.address("eth0", "fe80::1", 64), try Self.address("lo", "127.0.0.1", 8)])
        let named = early.named(["eth0"])
        for (text, what) in [("tcp://0.0.0.0:9559", "an IPv4 address"), ("tcp://[::]:9559", "an address")] {
            let (urls, missing) = try named.listeners([text])
            #expect(urls.isEmpty && missing == ["\(what) of eth0, for \(text)"])
        }
    }

    @Test func whoIsOnTheNetwork() throws {
        let networks = try Self.robot().named(["eth1"]).networks
        func contains(_ text: String) throws -> Bool {
            let address = try #require(IPAddress(text))
            return networks.contains { $0.contains(address) }
        }
        #expect(try contains("10.0.1.200") && !contains("192.168.1.9") && !contains("10.0.2.1"))
    }

    /// This machine's own.
    @Test func current() throws {
        let here = try InternalInterfaces.current()
        #expect(try here.named(["lo"]).listeners(["tcp://0.0.0.0:0"]).urls.contains("tcp://127.0.0.1:0"))
    }
}
