/// What may come in at the listeners of one gate, all of them together. An address of IPv6 counts by its network of 64 bits.
public struct ListenerLimits: Hashable, Sendable {
    /// Connections that are through the handshake. When there are so many, a newcomer gets the place of the largest holder, or is refused
    /// if it would hold as many itself.
    public var maximumConnections = 1024
    /// Of these, connections with one proven identity: a user, an application, a certificate.
    public var maximumConnectionsPerPrincipal = 256
    /// Of these, connections from one address that have proven nothing.
    public var maximumConnectionsPerAddress = 256
    /// Connections that have not proven who they are. One more takes the place of the one that has been at it longest: a client that
    /// means well is through within milliseconds.
    public var maximumUnproven = 256
    /// The same, from one address.
    public var maximumUnprovenPerAddress = 64
    /// New connections from one address, per second in the long run; beyond, they are closed before TLS costs anything.
    public var connectionsPerSecond = 50
    /// How many of these may come at once.
    public var burst = 200

    public init() {}

    /// Connections that have proven nothing: they leave a quarter of all places to known principals.
    var maximumStrangers: Int { maximumConnections - maximumConnections / 4 }

    /// What the robot's own bus takes by TCP: its boards and this user's programs.
    public static let `internal`: ListenerLimits = {
        var limits = ListenerLimits()
        limits.maximumConnections = 4096
        limits.maximumConnectionsPerPrincipal = 4096
        limits.maximumConnectionsPerAddress = 2048
        limits.maximumUnproven = 1024
        limits.maximumUnprovenPerAddress = 512
        limits.connectionsPerSecond = 500
        limits.burst = 2000
        return limits
    }()

    /// The same, with no more connections than half of the descriptors that a process with this limit has to spare: the other half is
    /// for its other gate, and what it needs itself and for its owner's socket stays free.
    func fitting(descriptors: Int) -> ListenerLimits {
        let share = max((descriptors - min(128, descriptors / 2)) / 2, 4)
        guard maximumConnections + maximumUnproven > share else { return self }
        var limits = self
        limits.maximumUnproven = max(min(maximumUnproven, share / 4), 1)
        limits.maximumUnprovenPerAddress = min(maximumUnprovenPerAddress, max(limits.maximumUnproven / 2, 1))
        limits.maximumConnections = min(maximumConnections, share - limits.maximumUnproven)
        // One principal may have all of them where it may have all of more.
        let most = maximumConnectionsPerPrincipal < maximumConnections ? max(limits.maximumConnections / 2, 1) : limits.maximumConnections
        limits.maximumConnectionsPerPrincipal = min(maximumConnectionsPerPrincipal, most)
        limits.maximumConnectionsPerAddress = min(maximumConnectionsPerAddress, max(limits.maximumConnections / 2, 1))
        return limits
    }
}
