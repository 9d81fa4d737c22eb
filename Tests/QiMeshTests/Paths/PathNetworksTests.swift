import QiMessaging
import Testing
import XMPP

@testable import QiMesh

/// Which addresses are offered to contacts, and which of theirs are dialled.
struct PathNetworksTests {
    private static func machine() throws -> InternalInterfaces {
        func address(_ interface: String, _ text: String, _ bits: Int) throws -> InternalInterfaces.Address {
            let address = try #require(IPAddress(text))
            return .init(interface: interface, address: address, network: try #require(IPNetwork(address, prefixLength: bits)))
        }
        return InternalInterfaces([
            try address("lo", "127.0.0.1", 8), try address("lo", "::1", 128), try address("eth1", "10.0.1.5", 24),
            try address("eth1:1", "10.0.2.5", 24), try address("eth1", "fe80::5", 64), try address("wlan0", "fe80::7", 64),
            try address("wlan0", "192.168.1.7", 24), try address("wlan0", "2001:db8::7", 64),
        ])
    }

    private static func networks(_ change: (inout MeshConfiguration) -> Void = { _ in }) -> PathNetworks {
        var configuration = MeshConfiguration()
        configuration.internal.interfaces = ["lo", "eth1"]
        change(&configuration)
        return PathNetworks(configuration)
    }

    @Test func addressesOfTheRobotsOwnNetworkAndOfTheMachineAreNotOffered() throws {
        #expect(Self.networks().offered(try Self.machine()) == ["192.168.1.7", "2001:db8::7", "fe80::7%wlan0"])
        #expect(Self.networks { $0.paths.interfaces = ["eth1"] }.offered(try Self.machine()) == ["10.0.1.5", "10.0.2.5", "fe80::5%eth1"])
        #expect(Self.networks().offered(nil) == [])
    }

    @Test(arguments: [
        "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "ff02::1", "169.254.169.254",
        "fd00:ec2::254", "192.168.1.7", "10.0.1.9", "10.0.2.9", "fe80::9%eth1", "64:ff9b::a9fe:a9fe", "2002:a00:1::1", "::10.0.1.9", "::ffff:0:10.0.1.9",
        "host.example", "",
    ])
    func anAddressInsideIsNotDialled(_ address: String) throws {
        #expect(Self.networks().refusal(of: address, try Self.machine()) != nil)
    }

    @Test(arguments: ["192.168.1.9", "203.0.113.7", "2001:db8::9", "fe80::9%wlan0", "10.0.3.9"])
    func anAddressOutsideIsDialled(_ address: String) throws {
        #expect(Self.networks().refusal(of: address, try Self.machine()) == nil)
        #expect(Self.networks().refusal(of: address, nil) != nil)
    }

    private static func wanted(
        _ path: String?, over transport: BytestreamTransport.Kind = .socks5,
        order: [MeshConfiguration.Paths.Kind] = [.direct, .proxy, .inBand]
    ) throws -> String {
        var application = Element("description", namespace: MeshNamespaces.stream)
        application["path"] = path
        let offer = BytestreamOffer(from: try #require(JID("pepper@x/qimesh")), application: application, sid: "s", transport: transport)
        switch try networks({ $0.paths.order = order }).wanted(by: offer) {
        case nil: return "all"
        case .inBand: return "in-band"
        case .socks5(let options): return (options.allowsDirect ? "direct " : "") + (options.allowsProxy ? "proxy" : "")
        }
    }

    @Test func onlyTheKindIsOfferedThatTheOpenerNames() throws {
        #expect(try Self.wanted("direct") == "direct ")
        #expect(try Self.wanted("proxy") == "proxy")
        // Openers of before, and of later.
        #expect(try Self.wanted(nil) == "all" && Self.wanted("carrier-pigeon") == "all")
        #expect(try Self.wanted("in-band", over: .inBand) == "all")
    }

    @Test func aKindThatIsOffIsDeclined() throws {
        let error = #expect(throws: QiError.self) { _ = try Self.wanted("proxy", order: [.direct, .inBand]) }
        #expect(error?.message == "proxy is off here (paths.order)")
        #expect(throws: QiError.self) { _ = try Self.wanted("in-band") }
    }

    @Test func theOwnerMayAllowTheRobotsOwnNetwork() throws {
        #expect(Self.networks { $0.paths.reachesInternal = true }.refusal(of: "10.0.1.9", try Self.machine()) == nil)
    }

    @Test func kindsThatAreOffAreNotUsed() throws {
        #expect(Self.networks { $0.paths.order = [.inBand] }.options() == nil)
        let options = try #require(Self.networks { $0.paths.order = [.proxy, .inBand] }.options())
        #expect(!options.allowsDirect && options.allowsProxy)
        #expect(Self.networks { $0.paths.order = [.proxy, .inBand] }.options(for: .direct) == nil)
    }
}
