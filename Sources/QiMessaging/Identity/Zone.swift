/// Where a connection came in. The listener decides it, never the peer.
public enum Zone: String, Hashable, Sendable, CaseIterable, CustomStringConvertible {
    /// The robot's own bus: unix sockets, the internal listeners, this process. What no rule speaks of is allowed.
    case `internal`
    /// A gateway's listener on a network. What no rule speaks of is denied.
    case lan
    /// Another device, through its XMPP account, or a gateway's listener for the internet. What no rule speaks of is denied.
    case internet

    public var description: String { rawValue }

    /// Whether whoever comes from here has to be let in by a rule.
    public var isOutside: Bool { self != .internal }
}
