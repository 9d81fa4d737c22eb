/// The contact list as a value (RFC 6121 §2).
struct Roster {
    private(set) var items: [JID: RosterItem] = [:]
    private let limit: Int

    init(limit: Int) {
        self.limit = limit
    }

    subscript(account: JID) -> RosterItem? { items[account] }

    /// The whole list arrived. Returns the differences to what was known: changed, new and removed entries.
    mutating func loaded(_ query: Element?) -> [RosterItem] {
        var new: [JID: RosterItem] = [:]
        for element in query?.children("item", Namespaces.roster) ?? [] where new.count < limit {
            guard let item = RosterItem(parsing: element), item.subscription != .remove else { continue }
            new[item.jid] = item
        }
        var changes = new.values.filter { items[$0.jid] != $0 }
        changes += items.keys.filter { new[$0] == nil }.map { RosterItem(jid: $0, subscription: .remove) }
        items = new
        return changes.sorted { $0.jid.description < $1.jid.description }
    }

    /// One entry changed (RFC 6121 §2.1.6). Nil when the push is broken or nothing changed.
    mutating func pushed(_ query: Element) -> RosterItem? {
        let elements = query.children("item", Namespaces.roster)
        guard elements.count == 1, let item = RosterItem(parsing: elements[0]) else { return nil }
        if item.subscription == .remove {
            return items.removeValue(forKey: item.jid) == nil ? nil : item
        }
        guard items[item.jid] != item, items[item.jid] != nil || items.count < limit else { return nil }
        items[item.jid] = item
        return item
    }
}

extension RosterItem {
    /// Reads an `<item/>`; nil when its address is broken.
    init?(parsing element: Element) {
        guard let jid = element["jid"].flatMap({ JID($0) }) else { return nil }
        let groups = element.children("group").prefix(64).map { $0.text.cut(toBytes: 256) }
        let name = element["name"].map { $0.cut(toBytes: JID.longestPart) }
        self.init(
            jid: jid, name: name == "" ? nil : name,
            subscription: element["subscription"].flatMap(Subscription.init(rawValue:)) ?? .none,
            isAsking: element["ask"] == "subscribe",
            isPreapproved: element["approved"] == "true" || element["approved"] == "1",
            groups: groups.sorted())
    }
}
