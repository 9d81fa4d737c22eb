import NIOCore
import QiWire

/// A service of this directory that a device hosts.
public struct HostedByDevice: Hashable, Sendable {
    public let service: String
    /// The device's bare JID.
    public let device: String
    /// Whether it is kept for the device, to which there is no way now.
    public let isAway: Bool
}

extension DirectoryServer {
    /// What devices host here, by name.
    public func hostedByDevices() async throws(QiError) -> [HostedByDevice] {
        let directory = self.directory
        return try await loop.run { (bus) async throws(QiError) in
            directory.value.table.ready.compactMap { entry in
                switch entry.owner {
                case .connection(let id):
                    bus.connection(id)?.origin.device.map { HostedByDevice(service: entry.info.name, device: $0, isAway: false) }
                case .away(let id):
                    directory.value.absent[id].map { HostedByDevice(service: entry.info.name, device: $0.device, isAway: true) }
                case .process, .upstream: nil
                }
            }.sorted { $0.service < $1.service }
        }
    }
}
