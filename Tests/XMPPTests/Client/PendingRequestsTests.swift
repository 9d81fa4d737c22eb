import Testing

@testable import XMPP

@Suite struct PendingRequestsTests {
    private func request(_ jid: String) throws -> SubscriptionRequest { SubscriptionRequest(from: try #require(JID(jid))) }

    private func addresses(_ requests: PendingRequests) -> Set<String> { Set(requests.all.map(\.from.description)) }

    @Test func aDomainHasItsShareAndItsOldestGoes() throws {
        var requests = PendingRequests(limit: 10, domainLimit: 3)
        requests.add(try request("friend@home"))
        for number in 0..<5 { requests.add(try request("u\(number)@evil")) }
        #expect(addresses(requests) == ["friend@home", "u2@evil", "u3@evil", "u4@evil"])
    }

    @Test func whenAllIsFullTheLargestDomainGivesItsOldest() throws {
        var requests = PendingRequests(limit: 4, domainLimit: 4)
        for number in 0..<3 { requests.add(try request("u\(number)@evil")) }
        requests.add(try request("friend@home"))
        requests.add(try request("other@lab"))
        #expect(addresses(requests) == ["friend@home", "other@lab", "u1@evil", "u2@evil"])
    }

    @Test func aLaterRequestOfAnAccountTakesThePlaceOfTheEarlier() throws {
        var requests = PendingRequests(limit: 2, domainLimit: 2)
        let jid = try #require(JID("a@home"))
        requests.add(SubscriptionRequest(from: jid))
        requests.add(SubscriptionRequest(from: jid, text: "again"))
        #expect(requests.all == [SubscriptionRequest(from: jid, text: "again")])
        requests.remove(jid)
        #expect(requests.all.isEmpty)
    }
}
