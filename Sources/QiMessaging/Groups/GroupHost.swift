import NIOCore

/// What a service of a group needs of the gateway it belongs to. Confined to the bus loop.
protocol GroupHost: AnyObject {
    /// - Throws: `.conflict` for a name that a device has, too.
    func group(named name: String) throws(QiError) -> DeviceGroup?
    func groupLink(to address: String) -> any GroupLink
    /// A device has answered calls, or was given up with calls that it may have run.
    func tally(answered: Int, lost: Int, by address: String, of group: String)
    /// The service of that name has another interface now.
    func retire(groupService name: String)
    /// Ends a service that no connection uses and no look-up waits for.
    func endIfUnused(groupService name: String)
}

/// What an instance of a service needs of the link to its device. Confined to the bus loop.
protocol GroupLink: AnyObject {
    /// The tunnel in use; nil while there is none.
    var connection: Connection? { get }
    /// Whether the device answers, as far as is known.
    var isLive: Bool { get }
    /// There and back, as measured last.
    var roundTrip: TimeAmount? { get }
    /// A service there, which owes an ``objectReleased(_:)``.
    nonisolated(nonsending) func object(of service: String) async throws(QiError) -> RemoteObject
    func objectReleased(_ object: RemoteObject)
    /// Calls back when the link opens or is lost, and when its device has a service more or less; until ``stopObserving(_:)``.
    func observe(_ observer: AnyObject, _ changed: @escaping () -> Void)
    func stopObserving(_ observer: AnyObject)
}
