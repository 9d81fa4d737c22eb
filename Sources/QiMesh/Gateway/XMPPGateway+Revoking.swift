import XMPP

/// What is known of an account.
extension XMPPGateway {
    /// Whether the account is a contact, stands in the server's list, or asks to be one.
    func knows(_ jid: JID) -> Bool { contacts.isContact(jid) || isListed(jid) || asks(jid) }

    func isListed(_ jid: JID) -> Bool { listed(jid) != nil }

    /// What the server's list says of an account.
    func listed(_ jid: JID) -> RosterItem? { client.roster().first { $0.jid == jid.bare } }

    func asks(_ jid: JID) -> Bool { client.pendingSubscriptionRequests().contains { $0.from == jid.bare } }
}
