/// How a link to a device stands.
public struct DeviceLinkStatus: Sendable {
    /// Its bare JID.
    public let device: String
    /// Whether its tunnel is open.
    public let isUp: Bool
    /// Whether something can be sent there now: a stream goes on without a path for a time.
    public let hasPath: Bool
    /// Calls that wait for an answer from there.
    public let callsInFlight: Int
    /// Its services that are in use here.
    public let services: Int
    /// How long the tunnel has been open; nil while it is not.
    public let upFor: Duration?
}
