import Logging
import NIOCore
import QiWire

/// Services of a device that are waited for: the device may be away, or not have them yet.
extension DeviceLink {
    /// The directory is told when the device has `service`, once.
    func expect(_ service: String, as name: String, for directory: ServiceDirectory) {
        guard expected[service]?.contains(where: { $0.directory === directory && $0.name == name }) != true else { return }
        expected[service, default: []].append((directory, name))
        guard let there = openDirectory, there.connection != nil else { return restoreIfNeeded() }
        // It may have come since it was looked for.
        bus.enqueue { [self] in
            do throws(QiError) {
                try await lookForExpected([service], in: there)
            } catch {
                bus.logger.debug("not looked for", metadata: [LogKeys.service: "\(name)", LogKeys.error: "\(error.message)"])
            }
        }
    }

    func stopExpecting(_ name: String, for directory: ServiceDirectory) {
        for service in Array(expected.keys) {
            expected[service]?.removeAll { $0.directory === directory && $0.name == name }
            if expected[service]?.isEmpty == true { expected[service] = nil }
        }
    }

    /// Looks for services that are waited for. What is not there yet the device will tell.
    nonisolated(nonsending) func lookForExpected(_ services: [String], in directory: RemoteObject) async throws(QiError) {
        for service in services where expected[service] != nil {
            do throws(QiError) {
                _ = try await directory.value(of: WellKnownActions.service, [.string(service)], deadline: .now() + .seconds(10))
                arrived(service)
            } catch {
                guard [.notFound, .remote, .denied].contains(error.code) else { throw error }
            }
        }
    }

    /// The device has `service` now.
    func arrived(_ service: String) {
        for waiting in expected.removeValue(forKey: service) ?? [] { waiting.directory.arrived(waiting.name) }
    }
}
