/// A service of this process in the directory of a device, until ``end()``.
public final class DeviceHosting: Sendable {
    /// The service: emits its signals, sets its properties.
    public let object: HostedObject
    /// What becomes of it there, from its first `up` on; of a reader that does not keep up the oldest are left out. For one reader.
    public let events: AsyncStream<HostingEvent>
    private let tunnel: DeviceTunnel

    init(object: HostedObject, events: AsyncStream<HostingEvent>, tunnel: DeviceTunnel) {
        self.object = object
        self.events = events
        self.tunnel = tunnel
    }

    /// Takes the service away. The device is told at once, where there is a path to it.
    public func end() async { await tunnel.close() }
}

extension DirectoryServer {
    /// Puts an object of this process into the directory of `device`, under a plain name: programs there call it as one of their own. It
    /// stays until ``DeviceHosting/end()``; when the path is lost it is registered again as soon as there is one.
    ///
    /// - Throws: `.denied` when no rule there allows it (`register`), `.conflict` when a service there has the name, `.invalid` for a name
    ///   that no service can have; as ``service(_:of:)`` when the device cannot be reached.
    public func host(_ object: ObjectBuilder, as name: String, at device: String) async throws(QiError) -> DeviceHosting {
        let (events, told) = AsyncStream.makeStream(of: HostingEvent.self, bufferingPolicy: .bufferingNewest(64))
        let tunnel = try await makeTunnel(to: device) { told.yield($0) }
        do throws(QiError) {
            return DeviceHosting(object: try await tunnel.register(object, as: name), events: events, tunnel: tunnel)
        } catch {
            await tunnel.close()
            throw error
        }
    }
}
