/// One thing an entity has (XEP-0030 §4).
public struct DiscoItem: Hashable, Sendable {
    /// The address that answers for the item.
    public let jid: JID
    /// Identifies the item at that address; nil when the address is enough.
    public let node: String?
    /// Name for people.
    public let name: String?

    /// Makes an item.
    public init(jid: JID, node: String? = nil, name: String? = nil) {
        self.jid = jid
        self.node = node
        self.name = name
    }
}
