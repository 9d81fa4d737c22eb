import Synchronization

/// Contacts, their presences and undecided requests: written by the session's thread, read by any.
final class ContactBook: Sendable {
    private struct Book: Sendable {
        var roster: Roster
        var presence: PresenceTracker
        var requests: PendingRequests
        /// Approvals given before the request came, kept here for servers that cannot (RFC 6121 §3.4).
        var approved: Set<JID> = []
    }

    private let book: Mutex<Book>
    private let limits: XMPPLimits
    private let admission: @Sendable (JID) -> Bool
    private let expectation: @Sendable (JID, RosterItem?) -> Bool

    /// - Parameters:
    ///   - admission: whether the owner of this account takes a bare address for a contact. The server's list alone makes none.
    ///   - expectation: whether a request of a bare address, which the server lists so, is answered without a person. Such a request is
    ///     not kept: it needs no room, so others cannot take that away.
    init(
        limits: XMPPLimits, admission: @escaping @Sendable (JID) -> Bool = { _ in true },
        expectation: @escaping @Sendable (JID, RosterItem?) -> Bool = { _, _ in false }
    ) {
        self.limits = limits
        self.admission = admission
        self.expectation = expectation
        book = Mutex(
            Book(
                roster: Roster(limit: limits.contacts),
                presence: PresenceTracker(resourceLimit: limits.resourcesPerContact, unconfirmedLimit: limits.unconfirmedContacts),
                requests: PendingRequests(limit: limits.subscriptionRequests, domainLimit: limits.subscriptionRequestsPerDomain)))
    }

    // MARK: Reading

    func items() -> [RosterItem] {
        book.withLock { Array($0.roster.items.values) }.sorted { $0.jid.description < $1.jid.description }
    }

    func item(_ account: JID) -> RosterItem? { book.withLock { $0.roster[account] } }

    /// Whether the owner takes the account for a contact, whatever the server's list says.
    func isAdmitted(_ account: JID) -> Bool { admission(account) }

    /// Whether both see each other, and the owner takes the account for a contact: only then may it ask us anything.
    func isMutual(_ account: JID) -> Bool {
        book.withLock { $0.roster[account]?.isMutual ?? false } && admission(account)
    }

    /// Whether we asked to see that account and may: its presence is for us.
    func isSeen(_ account: JID) -> Bool {
        book.withLock { book in
            book.roster[account].map { $0.subscription == .both || $0.subscription == .to } ?? false
        }
    }

    /// Whether the account sees our presence.
    func sees(_ account: JID) -> Bool {
        book.withLock { book in
            book.roster[account].map { $0.subscription == .both || $0.subscription == .from } ?? false
        }
    }

    func resources(of account: JID) -> [PresenceResource] { book.withLock { $0.presence }.resources(of: account) }

    func resource(_ full: JID) -> PresenceResource? { book.withLock { $0.presence[full] } }

    func unknown(_ capabilities: PresenceResource.Capabilities) -> [JID] {
        book.withLock { $0.presence.unknown(capabilities) }
    }

    func pendingRequests() -> [SubscriptionRequest] {
        book.withLock { $0.requests.all }.sorted { $0.from.description < $1.from.description }
    }

    // MARK: Writing

    func loaded(_ query: Element?) -> [RosterItem] { book.withLock { $0.roster.loaded(query) } }

    func pushed(_ query: Element) -> RosterItem? { book.withLock { $0.roster.pushed(query) } }

    func received(_ presence: Element, from sender: JID) -> [PresenceResource] {
        let isAdmitted = admission(sender.bare)
        return book.withLock { $0.presence.received(presence, from: sender, isAdmitted: isAdmitted, now: .now) }
    }

    /// The owner does not take the account for a contact any more. Returns the connections that are kept no more, as gone.
    func dismissed(_ account: JID) -> [PresenceResource] { book.withLock { $0.presence.dismissed(account) } }

    func learned(
        _ disco: DiscoInfo, of full: JID, capabilities: PresenceResource.Capabilities?
    ) -> PresenceResource? {
        book.withLock { $0.presence.learned(disco, of: full, capabilities: capabilities) }
    }

    func removeAccount(_ account: JID) -> [PresenceResource] { book.withLock { $0.presence.removeAccount(account) } }

    func everybodyGone() -> [PresenceResource] { book.withLock { $0.presence.removeAll() } }

    /// What to do with a subscription request.
    enum OnRequest: Equatable { case approve, ask, ignore }

    func requested(_ request: SubscriptionRequest) -> OnRequest {
        let isAdmitted = admission(request.from)
        let isExpected = expectation(request.from, item(request.from))
        return book.withLock { book in
            // An approval in advance counts as long as the owner's word behind it does.
            if book.approved.remove(request.from) != nil, isAdmitted || isExpected { return .approve }
            let subscription = book.roster[request.from]?.subscription
            // It sees us already: its server has forgotten; say so again (RFC 6121 §3.1.3).
            if isAdmitted, subscription == .both || subscription == .from { return .approve }
            if isExpected { return .ask }
            guard book.requests[request.from] != request else { return .ignore }
            book.requests.add(request)
            return .ask
        }
    }

    func keep(_ request: SubscriptionRequest) {
        book.withLock { book in
            let subscription = book.roster[request.from]?.subscription
            // Decided meanwhile.
            guard subscription != .both, subscription != .from, book.requests[request.from] != request else { return }
            book.requests.add(request)
        }
    }

    /// The account took its request back.
    func withdrawn(_ account: JID) { book.withLock { _ = $0.requests.remove(account) } }

    /// The account sees us now: nothing is left to decide.
    func settled(_ account: JID) {
        book.withLock { book in
            book.requests.remove(account)
            book.approved.remove(account)
        }
    }

    /// Approves a request that may come; false when there is one to be answered, or no room.
    func expects(_ account: JID) -> Bool {
        book.withLock { book in
            let subscription = book.roster[account]?.subscription
            if subscription == .both || subscription == .from { return true }
            guard book.requests[account] == nil, book.approved.count < limits.subscriptionRequests else { return false }
            book.approved.insert(account)
            return true
        }
    }

    /// We decided.
    func decided(_ account: JID, approved: Bool) {
        book.withLock { book in
            let waited = book.requests.remove(account) != nil
            let subscription = book.roster[account]?.subscription
            let isSeen = subscription == .both || subscription == .from
            if !approved {
                book.approved.remove(account)
            } else if !waited && !isSeen && book.approved.count < limits.subscriptionRequests {
                book.approved.insert(account)
            }
        }
    }
}
