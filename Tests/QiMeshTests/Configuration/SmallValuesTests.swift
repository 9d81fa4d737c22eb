import Testing

@testable import QiMesh

@Suite struct SmallValuesTests {
    @Test(arguments: [
        ("512", 512), ("0", 0), ("7B", 7), ("6kB", 6_000), ("50MB", 50_000_000), ("2GB", 2_000_000_000), ("64KiB", 65_536),
        ("8MiB", 8_388_608), ("1GiB", 1_073_741_824),
    ])
    func sizes(text: String, bytes: Int) {
        #expect(Quantity.bytes(text) == bytes)
    }

    @Test(arguments: ["", "MB", "-1", "1.5MB", "1 MB", "1mb", "1KB", "9999999999999GB", "99999999999999999999", "１MB"])
    func noSizes(text: String) {
        #expect(Quantity.bytes(text) == nil)
    }

    @Test func durations() {
        #expect(Quantity.duration("250ms") == .milliseconds(250))
        #expect(Quantity.duration("30s") == .seconds(30))
        #expect(Quantity.duration("10m") == .seconds(600))
        #expect(Quantity.duration("1h") == .seconds(3_600))
        for text in ["", "30", "s", "1d", "-1s", "1.5s", "9223372036854775807h"] { #expect(Quantity.duration(text) == nil) }
    }

    @Test(arguments: [
        ("127.0.0.1:5222", "127.0.0.1", 5_222), ("xmpp.example:443", "xmpp.example", 443), ("[::1]:1", "::1", 1),
        ("x:65535", "x", 65_535),
    ])
    func hostsAndPorts(text: String, host: String, port: Int) {
        let address = HostPort(text)
        #expect(address?.host == host)
        #expect(address?.port == port)
        #expect(address?.description == text)
    }

    @Test(arguments: [
        "", ":", "x", "x:", ":1", "x:0", "x:65536", "x:+1", "x:1a", "::1:5222", "[x]:1", "[::1]", "a b:1", "a@b:1", "a/b:1",
    ])
    func noHostsAndPorts(text: String) {
        #expect(HostPort(text) == nil)
    }

    @Test(arguments: [
        ("", "abc", 3), ("abc", "", 3), ("abc", "abc", 0), ("abc", "acb", 1), ("abc", "abd", 1), ("abc", "ab", 1),
        ("modle", "model", 1),
        ("kitten", "sitting", 3),
    ])
    func distances(one: String, other: String, distance: Int) {
        #expect(Spelling.distance(one, other) == distance)
    }

    @Test func nearestIsNotFarFetched() {
        let known = ["jid", "password-file", "resource", "server"]
        #expect(Spelling.nearest(to: "Jid", among: known) == "jid")
        #expect(Spelling.nearest(to: "password_file", among: known) == "password-file")
        #expect(Spelling.nearest(to: "ressource", among: known) == "resource")
        #expect(Spelling.nearest(to: "xyz", among: known) == nil)
        #expect(Spelling.nearest(to: String(repeating: "x", count: 10_000), among: known) == nil)
        #expect(Spelling.nearest(to: "x", among: []) == nil)
    }

    @Test func machineIDSources() {
        for text in ["auto", "systemd", "file:/etc/id", "0f3c-9A"] { #expect(MachineIDSource(text)?.description == text) }
        for text in ["", "file:", "file:x", "a b", "ä", String(repeating: "a", count: 65)] {
            #expect(MachineIDSource(text) == nil)
        }
    }
}
