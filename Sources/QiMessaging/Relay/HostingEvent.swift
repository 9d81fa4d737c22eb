/// What becomes of a service that is hosted with a device (``DirectoryServer/openTunnel(to:at:users:hosting:)``).
public enum HostingEvent: Sendable {
    /// It is in the device's directory, and can be called there.
    case up(String)
    /// The device did not take it in: the registering program was told the same.
    case refused(String, QiError)
    /// It is not in the device's directory now, and why: it is registered again as soon as that can be.
    case away(String, QiError)
    /// Its owner took it away, or has ended.
    case gone(String)
}
