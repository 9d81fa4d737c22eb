import Testing
import XMPP

@testable import QiMesh

@Suite struct AccountContactsTests {
    private static func contacts(in folder: String) throws -> (AccountContacts, TrustStore) {
        let trust = try TrustStore(file: folder + "/trust.json")
        let glob = try #require(JIDGlob("*@lab"))
        return (AccountContacts(account: try #require(JID("own@x")), accept: [glob], trust: trust, logger: quiet), trust)
    }

    /// The operator of our server can list whom it likes: that is no request.
    @Test(arguments: [RosterItem.Subscription.from, .both, .to])
    func acceptLetsInNobodyThatTheServerLists(_ subscription: RosterItem.Subscription) throws {
        try withTemporaryDirectory { folder in
            let (contacts, trust) = try Self.contacts(in: folder)
            let jid = try #require(JID("nao@lab"))
            #expect(contacts.expects(jid, listed: nil))
            #expect(contacts.expects(jid, listed: RosterItem(jid: jid)))
            #expect(!contacts.expects(jid, listed: RosterItem(jid: jid, subscription: subscription)))
            try trust.admit("nao@lab", of: "own@x", name: nil, by: .approved)
            #expect(contacts.expects(jid, listed: RosterItem(jid: jid, subscription: subscription)))
        }
    }

    @Test func aRevokedDeviceIsExpectedOnlyWhileItIsPairedWith() throws {
        try withTemporaryDirectory { folder in
            let (contacts, trust) = try Self.contacts(in: folder)
            let jid = try #require(JID("nao@lab"))
            try trust.revoke(jid: "nao@lab")
            #expect(!contacts.expects(jid, listed: nil))
            contacts.pairingBegins(with: jid)
            contacts.pairingBegins(with: jid)
            contacts.pairingEnded(with: jid)
            #expect(contacts.expects(jid, listed: nil))
            contacts.pairingEnded(with: jid)
            #expect(!contacts.expects(jid, listed: nil))
        }
    }
}
