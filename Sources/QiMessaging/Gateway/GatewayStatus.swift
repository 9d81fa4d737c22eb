/// How a ``TCPGateway`` stands.
public struct GatewayStatus: Sendable {
    /// Where it listens.
    public let endpoints: [Endpoint]
    /// What clients are told instead; empty: the address they used.
    public let advertised: [Endpoint]
    /// Why the directory inside cannot be used now; nil while it can. Names inside addresses: not for those outside.
    public let trouble: QiError?
    /// How many services the directory inside lists.
    public let services: Int
    /// How many of them somebody outside uses, and how many of those are away and awaited.
    public let servicesInUse: Int
    public let servicesAway: Int
    /// Connections from outside, and how many of them have not proven yet who they are.
    public let connections: Int
    public let unproven: Int
}
