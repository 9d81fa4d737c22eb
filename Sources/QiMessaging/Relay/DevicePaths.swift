public import NIOCore
public import QiWire

/// What a ``DeviceGateway`` needs of the world outside the bus: who the devices are, how to reach one, and how to know that
/// it is the one meant. Implemented outside this module, which knows no XMPP.
public protocol DevicePaths: Sendable {
    /// The device that this node's owner calls `name`.
    ///
    /// - Throws: `.notFound` when there is none, `.denied` when the device and we have not both agreed (yet), `.conflict` when
    ///   several devices have the name.
    func device(named name: String) throws(QiError) -> String

    /// Opens an encrypted bytestream to a device, within 20 s. `install` adds the qi protocol behind the handlers that encrypt, before
    /// the first byte.
    ///
    /// - Throws: `.offline` when the device cannot be reached now, `.denied` when it or its key is refused, `.timedOut`.
    func open(
        _ device: String, on eventLoop: any EventLoop, install: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) async throws(QiError)

    /// What we say of ourselves, and of whom we mean, inside the encrypted bytestream.
    func credentials(for device: String) -> Capabilities

    /// Why the last attempt failed inside TLS, which itself says only that it failed; nil when it was something else.
    func refusal(of device: String) -> QiError?

    /// The peer has answered inside the bytestream; throwing ends the connection.
    func judge(_ answer: Capabilities, of device: String) throws(QiError)

    /// Returns when a device that could not be reached may be tried again: at once when it is there, else when it comes back.
    func untilReachable(_ device: String) async
}
