@testable import QiMessaging
import Testing

@Suite struct IPAddressTests {
    @Test(arguments: [
        ("10.1.2.3", true), ("172.16.0.1", true), ("172.31.255.255", true), ("172.32.0.1", false), ("192.168.1.1", true),
        ("169.254.9.9", true), ("127.0.0.1", true), ("8.8.8.8", false), ("100.64.0.1", false), ("11.0.0.1", false),
        ("::1", true), ("fe80::1%eth0", true), ("febf::1", true), ("fec0::1", false), ("fd12::1", true), ("fc00::1", true),
        ("2001:db8::1", false), ("::ffff:10.0.0.7", true), ("::ffff:8.8.8.8", false),
    ])
    func local(_ text: String, _ isLocal: Bool) throws { #expect(try #require(IPAddress(text)).isLocal == isLocal) }

    @Test(arguments: ["", "localhost", "10.0.0", "10.0.0.256", "::g", "1.2.3.4/8", "[::1]"])
    func noAddress(_ text: String) { #expect(IPAddress(text) == nil) }

    @Test func mappedIsTheFourBytes() {
        #expect(IPAddress("::ffff:10.0.0.7") == IPAddress("10.0.0.7"))
        #expect(IPAddress("::ffff:10.0.0.7")?.description == "10.0.0.7")
        #expect(IPAddress("2001:DB8::1")?.description == "2001:db8::1")
    }

    @Test func loopback() {
        #expect(IPAddress("127.9.9.9")?.isLoopback == true && IPAddress("::1")?.isLoopback == true)
        #expect(IPAddress("10.0.0.1")?.isLoopback == false && IPAddress("::2")?.isLoopback == false)
    }

    /// One host has as many addresses of IPv6 as it likes, all in one network.
    @Test func place() {
        #expect(IPAddress("2001:db8:1:2:3::1")?.place == IPAddress("2001:db8:1:2:ffff::9")?.place)
        #expect(IPAddress("2001:db8:1:2::1")?.place != IPAddress("2001:db8:1:3::1")?.place)
        #expect(IPAddress("10.0.0.1")?.place != IPAddress("10.0.0.2")?.place)
    }

    @Test(arguments: [
        ("10.0.1.0/24", "10.0.1.255", true), ("10.0.1.0/24", "10.0.2.0", false), ("10.0.1.4/30", "10.0.1.7", true),
        ("10.0.1.4/30", "10.0.1.8", false), ("0.0.0.0/0", "8.8.8.8", true), ("10.0.0.1", "10.0.0.1", true), ("10.0.0.1", "10.0.0.2", false),
        ("2001:db8::/33", "2001:db8:7fff::1", true), ("2001:db8::/33", "2001:db8:8000::1", false), ("10.0.0.0/8", "::1", false),
    ])
    func network(_ network: String, _ address: String, _ contains: Bool) throws {
        #expect(try #require(IPNetwork(network)).contains(#require(IPAddress(address))) == contains)
    }

    @Test(arguments: ["10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "x/8", "::/129"])
    func noNetwork(_ text: String) { #expect(IPNetwork(text) == nil) }

    @Test func masks() {
        #expect(IPAddress("255.255.255.0")?.prefixLength == 24)
        #expect(IPAddress("255.255.240.0")?.prefixLength == 20)
        #expect(IPAddress("0.0.0.0")?.prefixLength == 0)
        #expect(IPAddress("ffff:ffff:ffff:ffff::")?.prefixLength == 64)
        #expect(IPAddress("255.255.255.255")?.prefixLength == 32)
    }
}
