import NIOCore

/// Contacts, presence and subscriptions.
extension XMPPSession {
    /// Kinds of presence that are about subscriptions (RFC 6121 §3).
    enum SubscriptionAction: String, Sendable {
        case subscribe, subscribed, unsubscribe, unsubscribed
    }

    // MARK: Presence of ours

    func setPresence(show: PresenceResource.Show, status: String) {
        self.show = show
        statusText = status
        if isOnline { sendPresence() }
    }

    /// - Parameter account: who alone is told, by its bare address; nil for all who see us (RFC 6121 §4.6).
    func sendPresence(to account: JID? = nil) {
        var presence = Element("presence", namespace: Namespaces.client)
        presence["to"] = account?.description
        if show != .available { presence.children.append(Element("show", text: show.rawValue)) }
        if !statusText.isEmpty { presence.children.append(Element("status", text: statusText)) }
        presence.children.append(Element("priority", text: String(configuration.priority)))
        for each in extensions.all { each.complete(&presence) }
        send(presence)
    }

    /// Sends a subscription stanza; false when not online.
    func sendSubscription(_ action: SubscriptionAction, to account: JID, children: [Element]) -> Bool {
        guard isOnline else { return false }
        send(
            Element(
                "presence", namespace: Namespaces.client,
                attributes: ["type": action.rawValue, "to": account.description], children: children))
        switch action {
        case .subscribed: contacts.decided(account, approved: true)
        case .unsubscribed: contacts.decided(account, approved: false)
        case .subscribe, .unsubscribe: break
        }
        return true
    }

    // MARK: Presence of others

    func receivedPresence(_ stanza: Element, from: JID?, own: JID) {
        guard let from, from.bare != own.bare else { return }
        switch stanza["type"] {
        case nil, "unavailable":
            guard contacts.isSeen(from.bare) else { return }
            // Goodbyes always count; a contact that changes its presence all the time is heard less often.
            if stanza["type"] == nil && !takesPresence(of: from.bare) { return }
            let changed = contacts.received(stanza, from: from)
            for resource in changed { presenceChanged(resource) }
            if changed.isEmpty, let known = contacts.resource(from) {
                for each in extensions.all { each.appeared(known, isNews: false) }
            }
        case "subscribe":
            subscriptionRequested(stanza, from: from.bare)
        case "unsubscribe":
            contacts.withdrawn(from.bare)
        default:
            // "subscribed" and "unsubscribed" come again as a change of the contact list, which our own server vouches for.
            break
        }
    }

    private func subscriptionRequested(_ stanza: Element, from account: JID) {
        guard subscriptionMeter.received(from: account.server, now: .now()) == .serve else { return }
        let token = stanza["preauth", Namespaces.preauth]?["token"]
        let request = SubscriptionRequest(
            from: account, text: (stanza.child("status")?.text ?? "").cut(toBytes: 1024),
            token: token.flatMap { $0.utf8.count <= JID.longestPart ? $0 : nil })
        switch contacts.requested(request) {
        case .approve: _ = sendSubscription(.subscribed, to: account, children: [])
        case .ask: delegate?.subscriptionRequested(request)
        case .ignore: break
        }
    }

    func presenceChanged(_ resource: PresenceResource) {
        if !resource.isAvailable {
            for each in extensions.all { each.left(resource) }
        }
        delegate?.presenceChanged(resource)
        if resource.isAvailable { for each in extensions.all { each.appeared(resource, isNews: true) } }
    }

    /// Whether one more presence or notice of that account is looked at.
    func takesPresence(of account: JID) -> Bool { presenceMeter.received(from: account, now: .now()) == .serve }

    // MARK: The contact list

    func rosterChanged(_ item: RosterItem) {
        switch item.subscription {
        case .both, .from: contacts.settled(item.jid)
        case .remove, .none, .to: break
        }
        if !item.isMutual {
            contactEnded(item.jid, "the server does not list \(item.jid) and this account as contacts of each other any more")
        }
        delegate?.rosterChanged(item)
        if item.subscription != .both && item.subscription != .to {
            for resource in contacts.removeAccount(item.jid) { presenceChanged(resource) }
        }
        guard item.isMutual else { return }
        for each in extensions.all { each.contactChanged(item.jid) }
    }

    private func contactEnded(_ account: JID, _ reason: String) {
        for each in extensions.all { each.contactEnded(account, reason) }
    }

    /// The owner admitted an account, or does not take it for a contact any more.
    func admissionChanged(_ account: JID) {
        guard contacts.isMutual(account) else {
            contactEnded(account, "\(account) is no contact any more")
            guard !contacts.isAdmitted(account) else { return }
            for resource in contacts.dismissed(account) { presenceChanged(resource) }
            return
        }
        for each in extensions.all { each.contactChanged(account) }
        // It may have asked what we can do while it was a stranger, and was not answered: this is the time to ask again.
        if isOnline { sendPresence(to: account) }
    }
}
