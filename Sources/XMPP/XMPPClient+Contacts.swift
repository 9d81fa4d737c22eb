extension XMPPClient {
    /// The contact list, sorted by address.
    public func roster() -> [RosterItem] { contacts.items() }

    /// True when both see each other's presence and the owner admits the account: only then may it ask us anything.
    public func isMutual(_ address: JID) -> Bool { contacts.isMutual(address.bare) }

    /// The answer of the `admits` closure for an account may be another from now on.
    public func admissionChanged(_ account: JID) {
        host.enqueue { $0.admissionChanged(account.bare) }
    }

    /// True when the account sees our presence.
    public func isSeen(by address: JID) -> Bool { contacts.sees(address.bare) }

    /// Known connections of a contact, the newest first.
    public func resources(of account: JID) -> [PresenceResource] { contacts.resources(of: account.bare) }

    /// Subscription requests nobody has decided yet, sorted by address.
    public func pendingSubscriptionRequests() -> [SubscriptionRequest] { contacts.pendingRequests() }

    /// Has a request wait for a person that was told, expected, and could not be answered; as if it had come unexpected.
    public func keep(_ request: SubscriptionRequest) { contacts.keep(request) }

    /// Adds a contact or changes its name and groups (RFC 6121 §2.3, §2.4).
    public func setRosterItem(_ account: JID, name: String?, groups: [String] = []) async throws(XMPPError) {
        var item = Element("item", attributes: ["jid": account.bare.description])
        if let name { item["name"] = name }
        item.children = groups.map { Element("group", text: $0) }
        try await iq(to: nil, .set, Element("query", namespace: Namespaces.roster, children: [item]))
    }

    /// Removes a contact and all subscriptions with it (RFC 6121 §2.5).
    public func removeRosterItem(_ account: JID) async throws(XMPPError) {
        let item = Element("item", attributes: ["jid": account.bare.description, "subscription": "remove"])
        try await iq(to: nil, .set, Element("query", namespace: Namespaces.roster, children: [item]))
    }

    /// Asks to see an account's presence (RFC 6121 §3.1). The answer comes as a change of the contact list.
    /// - Parameter token: Token of a pre-arranged pairing (XEP-0379).
    /// - Throws: `.notConnected`.
    public func subscribe(to account: JID, token: String? = nil) async throws(XMPPError) {
        var children: [Element] = []
        if let token { children.append(Element("preauth", namespace: Namespaces.preauth, attributes: ["token": token])) }
        try await host.sendSubscription(.subscribe, to: account.bare, children: children)
    }

    /// Lets an account see our presence: answers its request, or approves a coming one in advance (RFC 6121 §3.4). Where
    /// the server cannot keep approvals, this client does, until it is made anew.
    public func approveSubscription(of account: JID) async throws(XMPPError) {
        try await host.sendSubscription(.subscribed, to: account.bare)
    }

    /// Lets an account see our presence that has asked to, or will ask this client soon: nothing is sent before it has, for some
    /// servers count what is sent (ejabberd's `mod_pres_counter`) and know no approval in advance.
    public func expectSubscription(of account: JID) async throws(XMPPError) {
        if contacts.expects(account.bare) { return }
        try await approveSubscription(of: account)
    }

    /// Refuses an account's request, takes back an approval, or ends its view of our presence (RFC 6121 §3.2).
    /// The approval given in advance is taken back also when this client is not online.
    public func denySubscription(of account: JID) async throws(XMPPError) {
        contacts.decided(account.bare, approved: false)
        try await host.sendSubscription(.unsubscribed, to: account.bare)
    }

    /// Ends our view of an account's presence (RFC 6121 §3.3).
    public func unsubscribe(from account: JID) async throws(XMPPError) {
        try await host.sendSubscription(.unsubscribe, to: account.bare)
    }
}
