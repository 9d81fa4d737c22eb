/// What may come in at the listeners of one gateway, all of them together. An address of IPv6 counts by its network of 64 bits.
public struct ListenerLimits: Hashable, Sendable {
    /// Connections; one more is closed at once.
    public var maximumConnections = 1024
    /// Connections from one address.
    public var maximumConnectionsPerAddress = 256
    /// Connections that have not proven who they are. One more takes the place of the one that has been at it longest: whoever means
    /// well is through within milliseconds.
    public var maximumUnproven = 256
    /// The same, from one address.
    public var maximumUnprovenPerAddress = 64
    /// New connections from one address, per second in the long run; beyond, they are closed before TLS costs anything.
    public var connectionsPerSecond = 50
    /// How many of these may come at once.
    public var burst = 200

    public init() {}

    /// No bound but those of the machine.
    static let unlimited: ListenerLimits = {
        var limits = ListenerLimits()
        limits.maximumConnections = .max
        limits.maximumConnectionsPerAddress = .max
        limits.maximumUnproven = .max
        limits.maximumUnprovenPerAddress = .max
        limits.connectionsPerSecond = 1_000_000
        limits.burst = 1_000_000
        return limits
    }()
}
