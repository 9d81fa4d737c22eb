/// One entry of the contact list (RFC 6121 §2.1.2).
public struct RosterItem: Hashable, Sendable {
    /// Who sees whose presence.
    public enum Subscription: String, Hashable, Sendable {
        /// Nobody sees anybody.
        case none
        /// We see the contact.
        case to
        /// The contact sees us.
        case from
        /// Both see each other; only such a contact may ask us anything.
        case both
        /// The entry is gone; only in change notices.
        case remove
    }

    /// The contact's bare address.
    public let jid: JID
    /// The name the owner of this account gave the contact, at most 1023 bytes.
    public let name: String?
    /// Who sees whose presence.
    public let subscription: Subscription
    /// We have asked to see the contact's presence and it has not answered.
    public let isAsking: Bool
    /// The contact's coming request is approved in advance (RFC 6121 §3.4), where the server supports that.
    public let isPreapproved: Bool
    /// Groups the contact is in, sorted.
    public let groups: [String]

    /// Makes an entry.
    public init(
        jid: JID, name: String? = nil, subscription: Subscription = .none, isAsking: Bool = false,
        isPreapproved: Bool = false, groups: [String] = []
    ) {
        self.jid = jid.bare
        self.name = name
        self.subscription = subscription
        self.isAsking = isAsking
        self.isPreapproved = isPreapproved
        self.groups = groups
    }

    /// True when both see each other.
    public var isMutual: Bool { subscription == .both }
}
