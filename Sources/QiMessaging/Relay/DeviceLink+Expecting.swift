import Logging
import NIOCore
import QiWire

/// Services of a device that are waited for: the device may be away, or not have them yet.
extension DeviceLink {
    /// The directory is told when the device has `service`, once.
    func expect(_ service: String, as name: String, for directory: ServiceDirectory) {
        guard expected[service]?.contains(where: { $0.directory === directory && $0.name == name }) != true else { return }
        expected[service, default: []].append((directory, name))
        // With a tunnel it may have come since it was looked for.
        unasked.insert(service)
        if connection == nil { remote.comeBack() } else { askForExpected() }
    }

    func stopExpecting(_ name: String, for directory: ServiceDirectory) {
        for service in Array(expected.keys) {
            expected[service]?.removeAll { $0.directory === directory && $0.name == name }
            if expected[service]?.isEmpty == true { expected[service] = nil }
        }
    }

    /// Asks for services that are waited for, as long as this tunnel is open. What is not there yet the device will tell.
    func askForExpected() {
        guard let connection, askedOn !== connection else { return }
        askedOn = connection
        bus.enqueue { [self] in
            defer { if askedOn === connection { askedOn = nil } }
            var backoff = Backoff(first: .milliseconds(500), most: .seconds(60))
            while !unasked.isEmpty, self.connection === connection {
                guard let service = unasked.popFirst() else { return }
                do throws(QiError) {
                    try await ask(for: service)
                } catch {
                    // The device, or the way to it, wants to be left alone for a while.
                    unasked.insert(service)
                    bus.logger.debug("not looked for", metadata: [LogKeys.service: "\(service)", LogKeys.error: "\(error.message)"])
                    await bus.pause(backoff.next(after: error))
                }
            }
        }
    }

    private nonisolated(nonsending) func ask(for service: String) async throws(QiError) {
        guard expected[service] != nil, let directory = remote.object else { return }
        do throws(QiError) {
            _ = try await directory.info(ofService: service, until: .now() + .seconds(10))
            arrived(service)
        } catch {
            guard error.saysThereIsNone || error.code == .invalid else { throw error }
        }
    }

    /// The device has `service` now.
    func arrived(_ service: String) {
        for waiting in expected.removeValue(forKey: service) ?? [] { waiting.directory.arrived(waiting.name) }
    }
}
