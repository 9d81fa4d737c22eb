@testable import QiMessaging
import Testing

@Suite struct GatewayAddressesTests {
    private func told(_ advertised: [String], used: String?, isRelative: Bool = true) -> [String] {
        GatewayAddresses(advertised: advertised.compactMap { Endpoint($0) }).endpoints(used: used, isRelative: isRelative)
    }

    @Test func theAddressThatWasUsed() {
        #expect(told([], used: "tcps://10.0.0.5:9503") == ["tcps://10.0.0.5:9503"])
        #expect(told([], used: nil).isEmpty)
    }

    @Test func whatIsAdvertisedStandsForIt() {
        let public_ = ["tcps://pepper.example:9503", "tcps://203.0.113.7:443"]
        #expect(told(public_, used: "tcps://172.17.0.2:9503") == public_)
        // One of them was used: no need to tell of the others.
        #expect(told(public_, used: "tcps://203.0.113.7:443") == ["tcps://203.0.113.7:443"])
    }

    @Test func nobodyIsLedToAnAddressOfAnotherKind() {
        let mixed = ["tcp://pepper.example:9559", "tcps://pepper.example:9503", "tcpsm://pepper.example:9504"]
        #expect(told(mixed, used: "tcps://172.17.0.2:9503") == ["tcps://pepper.example:9503"])
        #expect(told(mixed, used: "tcpsm://172.17.0.2:9504") == ["tcpsm://pepper.example:9504"])
        #expect(told(["tcps://pepper.example:9503"], used: "tcpsm://172.17.0.2:1") == ["tcps://pepper.example:9503"])
    }

    /// It finds its connection by nothing else.
    @Test func whoeverKnowsNoRelativeAddressesIsToldTheOneItUsed() {
        #expect(
            told(["tcps://pepper.example:9503"], used: "tcps://172.17.0.2:9503", isRelative: false)
                == ["tcps://172.17.0.2:9503", "tcps://pepper.example:9503"])
    }
}
