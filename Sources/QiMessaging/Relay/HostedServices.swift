import Logging
import NIOCore
import QiWire

/// The services of one directory here that are registered with a device's own, under their plain names, for as long as their owners live.
/// The device calls them on the connection that registered them. After a loss they are registered again, under the ids they had there.
/// Confined to the bus loop.
final class HostedServices: ServiceHosting {
    typealias Place = HostingTable.Place

    private let bus: Bus
    private let link: DeviceLink
    private weak var directory: ServiceDirectory?
    private var table = HostingTable()
    private let report: (HostingEvent) -> Void
    /// Why services that are tried again were refused last, by their ids here: the same is told once.
    private var refusals: [UInt32: String] = [:]
    /// How many services the device is being told of that have gone, and who waits for that.
    private var leaving = 0
    private var settling: [UnsafeContinuation<Void, Never>] = []

    /// How long the device may take to answer.
    private static let answerTime = TimeAmount.seconds(10)

    /// - Parameter report: hears what becomes of each service, on the loop.
    init(bus: Bus, link: DeviceLink, directory: ServiceDirectory, report: @escaping (HostingEvent) -> Void) {
        self.bus = bus
        self.link = link
        self.directory = directory
        self.report = report
    }

    /// Whether a service of this name is hosted from here: of such ones the device's list tells nothing new.
    func hosts(_ name: String) -> Bool { table.hosts(name) }

    // MARK: - Coming

    /// Registers a service with the device, not ready yet. `completion` runs exactly once, within 40 s: the tunnel may have to be opened.
    func register(_ info: ServiceInfo, completion: @escaping (Result<Place, QiError>) -> Void) {
        guard !bus.isShutDown else { return completion(.failure(QiError(.disconnected, "this node is stopping"))) }
        bus.enqueue { [self] in
            do throws(QiError) {
                completion(.success(try await register(info, wish: 0, at: try await link.remote.join())))
            } catch {
                let text = "\(link.device) did not take \"\(info.name)\": \(error.message)"
                let refusal = QiError(error.code, text, hint: error.hint, cause: error)
                report(refused(info.name, refusal))
                completion(.failure(refusal))
            }
        }
    }

    /// - Parameter wish: the id that it had there; 0 for none.
    private nonisolated(nonsending) func register(
        _ info: ServiceInfo, wish: UInt32, at device: RemoteObject
    ) async throws(QiError) -> Place {
        guard let connection = device.connection else { throw device.lostError }
        guard device.members.method(WellKnownActions.registerService) != nil else {
            throw QiError(.denied, "denied: services cannot be registered there from outside")
        }
        var told = info
        told.serviceID = wish
        // No address of ours leads here from there: it is called on this connection.
        told.endpoints = []
        let value = try await device.value(
            of: WellKnownActions.registerService, [told.qiValue], deadline: .now() + Self.answerTime
        ) { [weak self] payload, flags in
            // Given up, and registered all the same.
            guard let id = try? payload.value(of: .uint32, flags: flags).asUInt32 else { return }
            self?.takeBack(Place(id: id, connection: connection.id))
        }
        guard let id = value.asUInt32, !connection.isClosed else {
            throw QiError(.invalid, "\(link.device) gave \"\(info.name)\" no id")
        }
        return Place(id: id, connection: connection.id)
    }

    /// The service has `id` here from now on.
    func entered(_ id: UInt32, _ name: String, at place: Place) { table.entered(id, name, at: place) }

    /// Has the device show a service. `completion` runs exactly once.
    func ready(_ id: UInt32, completion: @escaping (Result<Void, QiError>) -> Void) {
        guard let entry = table.entries[id], let place = entry.place, !bus.isShutDown else {
            return completion(.failure(QiError(.offline, "the path to \(link.device) was lost meanwhile: register it again")))
        }
        bus.enqueue { [self] in
            do throws(QiError) {
                try await ready(place)
                guard table.readied(id, at: place) else { throw QiError(.offline, "the path to \(link.device) was lost meanwhile") }
                report(.up(entry.name))
                completion(.success(()))
            } catch {
                report(refused(entry.name, error))
                completion(.failure(error))
            }
        }
    }

    /// What is lost with its path is not refused: the registering program was told so, and may try again.
    private func refused(_ name: String, _ error: QiError) -> HostingEvent {
        error.isRetryable ? .away(name, error) : .refused(name, error)
    }

    private nonisolated(nonsending) func ready(_ place: Place) async throws(QiError) {
        guard let device = device(of: place) else { throw QiError(.offline, "the path to \(link.device) was lost") }
        _ = try await device.value(of: WellKnownActions.serviceReady, [.uint32(place.id)], deadline: .now() + Self.answerTime)
    }

    /// The device's directory, if that connection is the one in use.
    private func device(of place: Place) -> RemoteObject? {
        guard let device = link.remote.object, device.connection?.id == place.connection else { return nil }
        return device
    }

    // MARK: - Being called

    /// What the device's calls to a service are handed to; nil for what is not hosted from here.
    func receiver(for address: ObjectAddress, on connection: Connection) -> (any ObjectReceiver)? {
        guard address.object == 1, let id = table.own(Place(id: address.service, connection: connection.id)) else { return nil }
        return directory?.receiver(of: id, at: address, on: connection)
    }

    // MARK: - Going

    /// The service has gone here: the device is told at once.
    func left(_ id: UInt32) {
        guard let name = table.entries[id]?.name else { return }
        refusals[id] = nil
        if let place = table.left(id) { takeBack(place) }
        report(.gone(name))
    }

    /// Takes a registration back.
    func takeBack(_ place: Place) {
        guard let device = device(of: place), !bus.isShutDown else { return }
        device.connection?.unbind(service: place.id)
        leaving += 1
        var payload = ByteBuffer()
        payload.writeQiUInt32(place.id)
        device.call(WellKnownActions.unregisterService, payload, deadline: .now() + Self.answerTime) { [self] answer in
            if let error = answer.failure(of: link.device) {
                bus.logger.debug("a device was not told", metadata: [LogKeys.peer: "\(link.device)", LogKeys.error: "\(error.message)"])
            }
            settle()
        }
    }

    private func settle() {
        leaving -= 1
        guard leaving == 0 else { return }
        let waiting = settling
        settling = []
        for waiter in waiting { waiter.resume() }
    }

    /// Returns when the device knows of all that has gone, or did not answer in time.
    nonisolated(nonsending) func settled() async {
        guard leaving > 0, !bus.isShutDown else { return }
        await withUnsafeContinuation { settling.append($0) }
    }

    /// All services are taken back: their directory ends.
    func end() {
        for id in table.entries.keys.sorted() { left(id) }
    }

    // MARK: - After a loss

    func lost(_ connection: Connection, _ error: QiError) {
        for name in table.lost(connection.id) { report(.away(name, error)) }
    }

    /// The device has removed a service, whose owner knows nothing of that: a rule there may have changed, and change again.
    func removed(_ id: UInt32, on connection: Connection) {
        guard let own = table.dropped(id, on: connection.id), let name = table.entries[own]?.name, let device = link.remote.object
        else { return }
        connection.unbind(service: id)
        report(.away(name, QiError(.notFound, "it was removed at \(link.device)")))
        registering.later(own, at: device)
    }

    /// The device is back.
    func joined(_ device: RemoteObject) {
        let missing = table.missing
        guard !missing.isEmpty else { return }
        bus.enqueue { [self] in
            do throws(QiError) {
                try await registering.all(missing, at: device)
            } catch {
                // The next connection begins anew.
                bus.logger.debug("the path was lost again", metadata: [LogKeys.peer: "\(link.device)", LogKeys.error: "\(error.message)"])
            }
        }
    }

    private var registering: RegisteringAgain<UInt32> {
        RegisteringAgain(
            bus: bus,
            register: { [self] (id, device) async throws(QiError) in try await registerAgain(id, at: device) },
            isWanted: { [self] id, _ in table.isMissing(id) },
            isLoss: { _ in false },
            name: { [self] id in table.entries[id]?.name ?? "#\(id)" }, firstPause: .milliseconds(250), limit: nil)
    }

    private nonisolated(nonsending) func registerAgain(_ id: UInt32, at device: RemoteObject) async throws(QiError) {
        guard let entry = table.entries[id], let info = directory?.table.entries[id]?.info else { return }
        var taken: Place?
        do throws(QiError) {
            let place = try await register(info, wish: entry.lastID, at: device)
            guard table.registered(id, at: place) else { return takeBack(place) }
            taken = place
            try await ready(place)
            refusals[id] = nil
            report(.up(entry.name))
        } catch {
            // Registered and not shown: the whole is tried again. A place that another attempt has got stays.
            if let place = taken, table.entries[id]?.place == place {
                takeBack(place)
                _ = table.dropped(place.id, on: place.connection)
            }
            if refusals.updateValue(error.message, forKey: id) != error.message { report(.away(entry.name, error)) }
            throw error
        }
    }
}
