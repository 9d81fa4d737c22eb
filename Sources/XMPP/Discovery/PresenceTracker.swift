/// Who is there, as a value: a fold over presence stanzas of contacts (RFC 6121 §4).
struct PresenceTracker {
    private var accounts: [JID: [JID: PresenceResource]] = [:]
    /// Those of ``accounts`` that the server lists and the owner has not admitted: as many as an operator likes to invent.
    private var unconfirmed: Set<JID> = []
    private let resourceLimit: Int
    private let unconfirmedLimit: Int

    /// Connections kept of an account that is not admitted.
    private static let unconfirmedResourceLimit = 2

    init(resourceLimit: Int, unconfirmedLimit: Int = 256) {
        self.resourceLimit = resourceLimit
        self.unconfirmedLimit = unconfirmedLimit
    }

    /// Known connections of an account, the newest first.
    func resources(of account: JID) -> [PresenceResource] {
        (accounts[account].map { Array($0.values) } ?? []).sorted { $0.since > $1.since }
    }

    subscript(full: JID) -> PresenceResource? { accounts[full.bare]?[full] }

    /// A presence without type or of type unavailable arrived from a contact. Returns what changed: nothing, one connection,
    /// or, when the account's bare address says goodbye, all of them.
    ///
    /// - Parameter isAdmitted: whether the owner takes the account for a contact. Of others little is kept, for a few of them: so they are
    ///   there at once if the owner admits them.
    mutating func received(
        _ stanza: Element, from sender: JID, isAdmitted: Bool = true, now: ContinuousClock.Instant
    ) -> [PresenceResource] {
        if stanza["type"] == "unavailable" {
            return sender.isBare ? removeAccount(sender) : remove(sender).map { [$0] } ?? []
        }
        // A bare address has no connection that could be talked to.
        guard stanza["type"] == nil, !sender.isBare else { return [] }
        let old = accounts[sender.bare]?[sender]
        guard old != nil || hasRoom(for: sender.bare, isAdmitted) else { return [] }
        let capabilities = PresenceResource.Capabilities(parsing: stanza["c", Namespaces.caps])
        let resource = PresenceResource(
            jid: sender, isAvailable: true,
            show: stanza.child("show").flatMap { .init(rawValue: $0.text) } ?? .available,
            status: isAdmitted ? (stanza.child("status")?.text ?? "").cut(toBytes: 1024) : "",
            priority: stanza.child("priority").flatMap { Int($0.text) }.map { min(127, max(-128, $0)) } ?? 0,
            capabilities: capabilities,
            disco: capabilities == old?.capabilities ? old?.disco : nil,
            since: old?.since ?? now)
        accounts[sender.bare, default: [:]][sender] = resource
        if isAdmitted { unconfirmed.remove(sender.bare) } else { unconfirmed.insert(sender.bare) }
        return old == resource ? [] : [resource]
    }

    private func hasRoom(for account: JID, _ isAdmitted: Bool) -> Bool {
        let count = accounts[account]?.count ?? 0
        if isAdmitted { return count < resourceLimit }
        return count < min(resourceLimit, PresenceTracker.unconfirmedResourceLimit)
            && (unconfirmed.contains(account) || unconfirmed.count < unconfirmedLimit)
    }

    /// The owner does not take an account for a contact any more. Returns the connections that are kept no more.
    mutating func dismissed(_ account: JID) -> [PresenceResource] {
        guard let known = accounts[account], !unconfirmed.contains(account) else { return [] }
        guard known.count <= PresenceTracker.unconfirmedResourceLimit, unconfirmed.count < unconfirmedLimit else {
            return removeAccount(account)
        }
        unconfirmed.insert(account)
        accounts[account] = known.mapValues(\.withoutStatus)
        return []
    }

    /// What a connection can do became known. Nil when it has gone or announced something else meanwhile.
    mutating func learned(_ disco: DiscoInfo, of full: JID, capabilities: PresenceResource.Capabilities?) -> PresenceResource? {
        guard let old = accounts[full.bare]?[full], old.capabilities == capabilities, old.disco != disco else { return nil }
        let resource = old.with(disco: disco)
        accounts[full.bare]?[full] = resource
        return resource
    }

    /// Connections that announce these capabilities and whose disco is not known.
    func unknown(_ capabilities: PresenceResource.Capabilities) -> [JID] {
        accounts.values.flatMap { $0.values }.filter { $0.capabilities == capabilities && $0.disco == nil }.map(\.jid)
    }

    /// One connection is gone.
    mutating func remove(_ full: JID) -> PresenceResource? {
        guard let old = accounts[full.bare]?.removeValue(forKey: full) else { return nil }
        if accounts[full.bare]?.isEmpty == true {
            accounts[full.bare] = nil
            unconfirmed.remove(full.bare)
        }
        return old.gone
    }

    /// All connections of an account are gone.
    mutating func removeAccount(_ account: JID) -> [PresenceResource] {
        unconfirmed.remove(account.bare)
        return (accounts.removeValue(forKey: account.bare).map { Array($0.values) } ?? []).map(\.gone)
    }

    /// Everybody is gone: our own stream ended.
    mutating func removeAll() -> [PresenceResource] {
        let all = accounts.values.flatMap { $0.values }.map(\.gone)
        (accounts, unconfirmed) = ([:], [])
        return all
    }
}

extension PresenceResource {
    /// The notice that it went.
    var gone: PresenceResource {
        PresenceResource(
            jid: jid, isAvailable: false, show: show, status: status, priority: priority, capabilities: capabilities,
            disco: disco, since: since)
    }

    /// What is kept of one whose account is not admitted.
    var withoutStatus: PresenceResource {
        PresenceResource(
            jid: jid, isAvailable: isAvailable, show: show, status: "", priority: priority, capabilities: capabilities,
            disco: disco, since: since)
    }

    func with(disco: DiscoInfo) -> PresenceResource {
        PresenceResource(
            jid: jid, isAvailable: isAvailable, show: show, status: status, priority: priority,
            capabilities: capabilities, disco: disco, since: since)
    }
}

extension PresenceResource.Capabilities {
    /// Reads `<c/>`; nil when there is none or a part of it is missing or too long.
    init?(parsing element: Element?) {
        guard let element, let node = element["node"], let version = element["ver"], let hash = element["hash"],
            node.utf8.count <= 1024, version.utf8.count <= 256, hash.utf8.count <= 64
        else { return nil }
        self.init(node: node, version: version, hash: hash)
    }

    /// The disco#info node that stands for it (XEP-0115 §6.2).
    var discoNode: String { "\(node)#\(version)" }
}
