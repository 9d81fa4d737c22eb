/// What a ``DeviceGateway`` needs of the world outside the bus: who the devices are, how to reach one, and how to know that
/// it is the one meant. Implemented outside this module, which knows no XMPP.
public protocol DevicePaths: Sendable {
    /// The device that this node's owner calls `name`.
    ///
    /// - Throws: `.notFound` when there is none, `.denied` when the device and we have not both agreed (yet), `.conflict` when
    ///   several devices have the name.
    func device(named name: String) throws(QiError) -> String

    /// The devices that go by one name; nil when that is no group's.
    ///
    /// - Throws: `.conflict` for a name that a device has, too.
    func group(named name: String) throws(QiError) -> DeviceGroup?

    /// An attempt to reach a device, by the way that is there now.
    ///
    /// - Throws: `.denied` when the device may not be reached any more.
    func attempt(_ device: String) throws(QiError) -> any PathAttempt

    /// Returns when a device that could not be reached may be tried again: at once when it is there, else when it comes back.
    func untilReachable(_ device: String) async
}

extension DevicePaths {
    public func group(named name: String) throws(QiError) -> DeviceGroup? { nil }
}
