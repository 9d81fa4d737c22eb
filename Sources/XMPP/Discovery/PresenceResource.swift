/// One connection of a contact, as its presence describes it (RFC 6121 §4.7).
public struct PresenceResource: Hashable, Sendable {
    /// How ready it is (RFC 6121 §4.7.2.1).
    public enum Show: String, Hashable, Sendable {
        /// Ready.
        case available
        /// Away, but reachable.
        case away
        /// Eager to talk.
        case chat
        /// Busy.
        case dnd
        /// Away for long.
        case xa
    }

    /// What the presence says about the software (XEP-0115 §4).
    public struct Capabilities: Hashable, Sendable {
        /// URI of the software.
        public let node: String
        /// Hash of what it answers to disco#info.
        public let version: String
        /// Name of the hash function; only `sha-1` is verified.
        public let hash: String
    }

    /// The full address.
    public let jid: JID
    /// False in the notice that it went.
    public let isAvailable: Bool
    /// How ready it is.
    public let show: Show
    /// A text for people, at most 1024 bytes; from outside. Empty for one that the owner has not admitted.
    public let status: String
    /// -128 to 127.
    public let priority: Int
    /// What its presence says about the software.
    public let capabilities: Capabilities?
    /// What it answered to disco#info, once that is known; asked for by itself for mutual contacts.
    public let disco: DiscoInfo?
    /// When its first presence of this stay arrived.
    public let since: ContinuousClock.Instant
}
