import NIOCore
import Testing

@testable import XMPP

@Suite struct LifeSignsTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000)
    private func jid(_ name: String) throws -> JID { try #require(JID("\(name)@mesh.test/a")) }

    @Test func oneSignASecondOfEachIsTold() throws {
        var signs = LifeSigns(limit: 10)
        let (pepper, nao) = (try jid("pepper"), try jid("nao"))
        #expect(signs.isNews(from: pepper, at: start))
        signs.told(pepper, at: start)
        #expect(!signs.isNews(from: pepper, at: start + .milliseconds(999)) && signs.isNews(from: nao, at: start))
        #expect(signs.isNews(from: pepper, at: start + .seconds(1)))
    }

    @Test func whatIsRememberedIsBounded() throws {
        var signs = LifeSigns(limit: 2)
        for name in ["a", "b", "b", "a"] { signs.told(try jid(name), at: start) }
        #expect(try !signs.isNews(from: jid("a"), at: start))
        signs.told(try jid("c"), at: start)
        #expect(try signs.isNews(from: jid("a"), at: start) && !signs.isNews(from: jid("c"), at: start))
    }
}
