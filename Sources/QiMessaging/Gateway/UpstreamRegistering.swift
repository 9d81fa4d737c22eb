import QiWire

/// What a ``GatewayUpstream`` registers with the directory it follows. Confined to the bus loop.
protocol UpstreamRegistering: AnyObject {
    /// Whether a service there is one that was registered so.
    func hasID(_ id: UInt32) -> Bool
    /// The directory can be used.
    func joined(on connection: Connection)
    /// It cannot any more, and has forgotten what was registered.
    func left()
    /// A connection to it, or to the host of a service, is closed.
    func released(_ connection: Connection)
    /// What its process may call on the connection on which all was registered.
    func receiver(for address: ObjectAddress, on connection: Connection) -> (any ObjectReceiver)?
    /// The name of the service that was given this id there.
    func serviceName(of id: UInt32, on connection: Connection) -> String?
    /// What is registered there, by name, and what is not, with the reason.
    var standing: (published: [String], refused: [String: QiError]) { get }
    /// A service here has other members than before under the name and the id that it had.
    func renewed(_ name: String)
    /// Another policy is in force.
    func policyChanged()
    /// Registers nothing any more.
    func end(_ error: QiError)
}
