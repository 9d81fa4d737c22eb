import QiWire

/// Where the services of a directory are registered beside: with a device, as ``HostedServices`` does. Confined to the bus loop.
protocol ServiceHosting: AnyObject {
    /// Registers a service there, not ready yet. `completion` runs exactly once, within 40 s.
    func register(_ info: ServiceInfo, completion: @escaping (Result<HostingTable.Place, QiError>) -> Void)
    /// The service that was taken in there has `id` here from now on.
    func entered(_ id: UInt32, _ name: String, at place: HostingTable.Place)
    /// Has a service shown there. `completion` runs exactly once.
    func ready(_ id: UInt32, completion: @escaping (Result<Void, QiError>) -> Void)
    /// A service has gone here.
    func left(_ id: UInt32)
    /// Takes a registration back whose service did not come to be here.
    func takeBack(_ place: HostingTable.Place)
    /// Whether a service of this name is hosted from here.
    func hosts(_ name: String) -> Bool

    /// What calls from there to a service are handed to; nil for what is not hosted from here.
    func receiver(for address: ObjectAddress, on connection: Connection) -> (any ObjectReceiver)?
    /// The way there is lost.
    func lost(_ connection: Connection, _ error: QiError)
    /// There is a way there again.
    func joined(_ device: RemoteObject)
    /// A service was removed there.
    func removed(_ id: UInt32, on connection: Connection)
    /// The directory ends: all its services are taken back.
    func end()
    /// Returns when it is known there what has gone, after 10 s at the latest.
    nonisolated(nonsending) func settled() async
}
