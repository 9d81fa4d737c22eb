import NIOCore
import Testing

@testable import XMPP

/// What SOCKS5 bytestreams read of a peer and of a server, and what they make of addresses.
@Suite struct SOCKS5ValuesTests {
    // MARK: The transport element

    private static func transport(_ attributes: [String: String] = ["sid": "s"], _ children: [Element] = []) -> Element {
        Element("transport", namespace: Namespaces.jingleSOCKS5, attributes: attributes, children: children)
    }

    private static let candidate = [
        "cid": "a", "host": "192.0.2.1", "port": "5086", "jid": "romeo@montague.lit/orchard", "priority": "8257636", "type": "direct",
    ]

    @Test func transportIsReadAsItIsWritten() throws {
        let jid = try #require(JID("romeo@montague.lit/orchard"))
        let digest = String(repeating: "0", count: 40)
        let candidates = [
            SOCKS5Candidate(cid: "d0", .direct, host: "2001:db8::1", port: 65535, jid: jid, rank: 0),
            SOCKS5Candidate(cid: "p0", .proxy, host: "proxy.montague.lit", port: 1, jid: jid.server, rank: 3),
        ]
        #expect(candidates.map(\.priority) == [126 << 16 + 65535, 10 << 16 + 65532])
        for step in [nil, .used(cid: "x"), .failed, .activated(cid: "y"), .proxyFailed] as [SOCKS5Transport.Step?] {
            let transport = SOCKS5Transport(sid: "s", digest: digest, candidates: step == nil ? candidates : [], step: step)
            #expect(try SOCKS5Transport(parsing: transport.element) == transport)
        }
    }

    @Test func whatIsLeftOutHasTheSpecificationsDefault() throws {
        var attributes = Self.candidate
        attributes["type"] = nil
        attributes["port"] = nil
        let transport = try SOCKS5Transport(parsing: Self.transport(["sid": "s"], [Element("candidate", attributes: attributes)]))
        #expect(transport.candidates.map(\.kind) == [.direct])
        #expect(transport.candidates.map(\.port) == [1080])
        #expect(transport.digest == nil)
    }

    @Test(arguments: [
        ("cid", nil), ("cid", ""), ("cid", String(repeating: "x", count: 129)), ("host", nil), ("host", ""),
        ("host", String(repeating: "x", count: 256)), ("jid", nil), ("jid", "@"), ("priority", nil), ("priority", "-1"),
        ("priority", "4294967296"), ("priority", "high"), ("port", "0"), ("port", "65536"), ("port", "x"),
    ] as [(String, String?)]) func brokenCandidateIsABadRequest(_ name: String, _ value: String?) {
        var attributes = Self.candidate
        attributes[name] = value
        #expect(throws: StanzaError.badRequest) {
            _ = try SOCKS5Transport(parsing: Self.transport(["sid": "s"], [Element("candidate", attributes: attributes)]))
        }
    }

    @Test func brokenTransportIsABadRequestAndDatagramsAreNotImplemented() {
        for attributes in [[:], ["sid": ""], ["sid": "a b"], ["sid": String(repeating: "x", count: 257)]] as [[String: String]] {
            #expect(throws: StanzaError.badRequest) { _ = try SOCKS5Transport(parsing: Self.transport(attributes)) }
        }
        for step in ["candidate-used", "activated"] {
            #expect(throws: StanzaError.badRequest) { _ = try SOCKS5Transport(parsing: Self.transport(["sid": "s"], [Element(step)])) }
        }
        #expect(throws: StanzaError.featureNotImplemented) { _ = try SOCKS5Transport(parsing: Self.transport(["sid": "s", "mode": "udp"])) }
    }

    @Test func unknownTypeIsLeftOutAndABrokenDigestIsComputed() throws {
        var attributes = Self.candidate
        attributes["type"] = "carrier-pigeon"
        let element = Self.transport(["sid": "s", "dstaddr": "short"], [Element("candidate", attributes: attributes)])
        let transport = try SOCKS5Transport(parsing: element)
        #expect(transport.candidates.isEmpty)
        #expect(transport.digest == nil)
        let upper = Self.transport(["sid": "s", "dstaddr": String(repeating: "AB", count: 20)])
        #expect(try SOCKS5Transport(parsing: upper).digest == String(repeating: "ab", count: 20))
    }

    @Test func noMoreCandidatesAreReadThanThereIsRoomFor() throws {
        let many = (0..<1000).map { index in
            var attributes = Self.candidate
            attributes["cid"] = "c\(index)"
            return Element("candidate", attributes: attributes)
        }
        #expect(try SOCKS5Transport(parsing: Self.transport(["sid": "s"], many)).candidates.count == SOCKS5Transport.mostRead)
    }

    // MARK: Addresses

    @Test(arguments: [
        ("192.0.2.1", "192.0.2.1"), ("2001:DB8:0::1", "2001:db8::1"), ("::ffff:127.0.0.1", "127.0.0.1"), ("::ffff:7f00:1", "127.0.0.1"),
        ("0:0:0:0:0:ffff:a00:1", "10.0.0.1"), ("::1", "::1"), ("::", "::"), ("fe80::1", "fe80::1"), ("fe80::1%lo", nil), ("127.1", nil),
        ("2130706433", nil), ("0x7f.0.0.1", nil), ("localhost", nil), ("", nil), ("192.0.2.1 ", nil), ("[::1]", nil), ("1.2.3.4\u{0}", nil),
    ] as [(String, String?)]) func addressesHaveOneForm(_ text: String, _ canonical: String?) {
        #expect(NumericAddress.canonical(text) == canonical)
    }

    @Test func scopedAddressIsOneOfThisMachinesInterfaces() {
        #expect(NumericAddress.socketAddress("fe80::1%lo", port: 7)?.port == 7)
        #expect(NumericAddress.socketAddress("fe80::1%no-such-interface", port: 7) == nil)
        #expect(NumericAddress.socketAddress("fe80::1%", port: 7) == nil)
        #expect(NumericAddress.socketAddress("192.0.2.1%lo", port: 7) == nil)
    }

    private static func host(_ host: String, _ kind: SOCKS5Candidate.Kind, _ own: [String] = []) throws -> DialTargets.Host {
        let jid = try #require(JID("x@mesh.test/y"))
        return DialTargets.host(SOCKS5Candidate(cid: "c", kind, host: host, port: 1, jid: jid, rank: 0), ownAddresses: own)
    }

    @Test func namesAreLookedUpForProxiesOnly() throws {
        #expect(try Self.host("192.0.2.1", .direct) == .addresses(["192.0.2.1"]))
        #expect(try Self.host("::ffff:10.0.0.1", .assisted) == .addresses(["10.0.0.1"]))
        #expect(try Self.host("intranet.example", .direct) == .refused("no numeric address"))
        #expect(try Self.host("127.1", .tunnel) == .refused("no numeric address"))
        #expect(try Self.host("proxy.example", .proxy) == .name("proxy.example"))
    }

    @Test func linkLocalAddressIsDialledOnOurOwnLinkLocalInterfaces() throws {
        let own = ["192.0.2.7", "fe80::7%eth0", "2001:db8::7", "fe80::8%wlan0", "fe80::9%eth0"]
        #expect(try Self.host("FE80::1", .direct, own) == .addresses(["fe80::1%eth0", "fe80::1%wlan0"]))
        guard case .refused = try Self.host("fe80::1", .direct, ["192.0.2.7"]) else { Issue.record("dialled without a scope"); return }
        guard case .refused = try Self.host("fe80::1%eth0", .direct, own) else { Issue.record("dialled with the peer's scope"); return }
    }

    @Test func refusedAddressesAreNotDialledAndTheirReasonsAreKept() {
        let permits = { (address: String) in address.hasPrefix("127.") ? "inside this machine" : nil }
        let some = DialTargets(["127.0.0.1", "192.0.2.1"], most: 4, permits: permits)
        #expect(some.addresses == ["192.0.2.1"])
        #expect(some.refusal == nil)
        let none = DialTargets(["127.0.0.1"], most: 4, permits: permits)
        #expect(none.refusal == "127.0.0.1: inside this machine")
        #expect(DialTargets([], most: 4, permits: permits).refusal == "no address")
        #expect(DialTargets((0..<9).map { "192.0.2.\($0)" }, most: 4, permits: permits).addresses.count == 4)
    }

    // MARK: Proxies

    private static func jid(_ text: String) throws -> JID { try #require(JID(text)) }

    @Test func proxiesAreFoundInTheServersOrder() throws {
        var machine = ProxyDiscoveryStateMachine()
        let items = try ["chat", "b", "a", "c"].map { try Self.jid("\($0).mesh.test") }
        check(machine.received(items: items), [])
        check(machine.begin(), true)
        check(machine.begin(), false)
        check(machine.received(items: items + items), items)
        check(machine.received(items: items), [])
        check(machine.received(isProxy: true, of: items[2]), true)
        check(machine.received(isProxy: false, of: items[0]), false)
        check(machine.received(isProxy: true, of: items[1]), true)
        check(machine.received(isProxy: true, of: items[1]), false)
        check(machine.received(isProxy: true, of: items[3]), false)
        #expect(!machine.isKnown)
        let hosts = items.map { ProxyHost(jid: $0, host: $0.domain, port: 7) }
        machine.received(host: hosts[2], of: items[2])
        machine.received(host: hosts[3], of: items[3])
        #expect(!machine.isKnown)
        machine.received(host: hosts[1], of: items[1])
        #expect(machine.isKnown)
        #expect(machine.proxies == [hosts[1], hosts[2]])
    }

    @Test func serverWithoutProxiesIsKnownToHaveNone() throws {
        var empty = ProxyDiscoveryStateMachine()
        #expect(empty.isIdle)
        check(empty.begin(), true)
        check(empty.received(items: []), [])
        #expect(empty.isKnown && empty.proxies.isEmpty)
        var silent = ProxyDiscoveryStateMachine()
        check(silent.begin(), true)
        let proxy = try Self.jid("proxy.mesh.test")
        check(silent.received(items: [proxy]), [proxy])
        check(silent.received(isProxy: true, of: proxy), true)
        silent.received(host: nil, of: proxy)
        #expect(silent.isKnown && silent.proxies.isEmpty)
    }

    @Test func serverWithAThousandItemsIsAskedForSixteen() throws {
        var machine = ProxyDiscoveryStateMachine()
        check(machine.begin(), true)
        let items = try (0..<1000).map { try Self.jid("i\($0).mesh.test") }
        check(machine.received(items: items), Array(items.prefix(16)))
    }

    @Test func proxysAnswerCountsForItselfOnly() throws {
        let proxy = try Self.jid("proxy.mesh.test")
        func answer(_ attributes: [String: String]) -> ProxyHost? {
            let host = Element("streamhost", attributes: attributes)
            return ProxyHost(parsing: Element("query", namespace: Namespaces.bytestreams, children: [host]), of: proxy)
        }
        #expect(answer(["jid": "proxy.mesh.test", "host": "h", "port": "7"]) == ProxyHost(jid: proxy, host: "h", port: 7))
        #expect(answer(["jid": "proxy.mesh.test", "host": "h"])?.port == 1080)
        for broken in [
            ["jid": "other.mesh.test", "host": "h", "port": "7"], ["jid": "proxy.mesh.test", "port": "7"],
            ["jid": "proxy.mesh.test", "host": "h", "port": "0"], ["host": "h", "port": "7"],
            ["jid": "proxy.mesh.test", "host": String(repeating: "h", count: 256), "port": "7"],
        ] { #expect(answer(broken) == nil) }
        #expect(ProxyHost(parsing: nil, of: proxy) == nil)
    }
}
