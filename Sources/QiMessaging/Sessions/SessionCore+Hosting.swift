import Glibc
import Logging
import NIOCore
import QiWire

/// Services that a session hosts (wire reference §13), and that it registers again when its directory comes back.
extension SessionCore {
    /// A service of this session, and where it stands.
    final class Registration {
        let name: String
        let object: LocalObject
        /// The id its directory gave it last.
        var id: UInt32
        /// The directory connection on which it is registered now.
        weak var connection: Connection?

        init(name: String, object: LocalObject, id: UInt32, connection: Connection?) {
            self.name = name
            self.object = object
            self.id = id
            self.connection = connection
        }
    }

    /// Answers for ids that a service had before its directory gave it another.
    final class MovedService: ObjectReceiver {
        private let name: String
        init(_ name: String) { self.name = name }

        func receive(_ call: IncomingCall) {
            call.fail("\"\(name)\" has another id since its directory was restarted: look it up again")
        }
        func closed(_ connection: Connection) {}
    }

    /// How many ids are remembered for that.
    private static let maximumMoved = 4096

    nonisolated(nonsending) func register(_ object: LocalObject, as name: String) async throws(QiError) -> UInt32 {
        let deadline = NIODeadline.now() + .seconds(10)
        let directory = try await requireDirectory(until: deadline)
        let connection = directory.connection
        let registration = Registration(name: name, object: object, id: 0, connection: connection)
        try await enter(registration, at: directory, until: deadline)
        registrations.append(registration)
        // The way was lost after the last answer, and whoever came back did not know of this one yet.
        if let connection, connection.isClosed, let directory = remote.object {
            registering.later(registration, at: directory)
        }
        return registration.id
    }

    nonisolated(nonsending) func unregister(_ object: DynamicObject, _ firstID: UInt32) async throws(QiError) {
        let of = registrations.filter { $0.object.object === object }
        guard let registration = of.first(where: { $0.id == firstID }) ?? of.first else {
            throw QiError(.notFound, "the service #\(firstID) is not one of this session")
        }
        registrations.removeAll { $0 === registration }
        defer { release(registration) }
        // A directory that is away forgets it by itself.
        guard let directory = remote.object, let connection = directory.connection, registration.connection === connection else { return }
        _ = try await directory.value(
            of: WellKnownActions.unregisterService, [.uint32(registration.id)], deadline: .now() + .seconds(10))
    }

    /// The session ends in order: its directory takes its services away at once, and does not treat them as those of a lost host.
    func unregisterAll() {
        guard let directory = remote.object, let connection = directory.connection else { return }
        for registration in registrations where registration.connection === connection {
            var payload = ByteBuffer()
            payload.writeQiUInt32(registration.id)
            directory.call(WellKnownActions.unregisterService, payload, deadline: .now() + .seconds(1)) { _ in }
        }
    }

    private func release(_ registration: Registration) {
        guard hosted[registration.id] === registration.object else { return }
        hosted[registration.id] = nil
        hostedInfos[registration.id] = nil
        InProcessObjects.remove(sessionID: sessionID, serviceID: registration.id)
    }

    /// Registers a service, under the id it had if the directory gives it, and makes it ready.
    private nonisolated(nonsending) func enter(
        _ registration: Registration, at directory: RemoteObject, until deadline: NIODeadline
    ) async throws(QiError) {
        let connection = directory.connection
        let id = try await freeID(for: registration, at: directory, until: deadline)
        bind(registration, to: id)
        registration.connection = connection
        do {
            _ = try await directory.value(of: WellKnownActions.serviceReady, [.uint32(id)], deadline: deadline)
        } catch {
            registration.connection = nil
            if registrations.contains(where: { $0 === registration }) == false { release(registration) }
            throw error
        }
        InProcessObjects.add(registration.object.object, sessionID: sessionID, serviceID: id)
    }

    /// An id from the directory that none of this session's other services has had: whoever knows one by that id would reach the
    /// wrong one.
    private nonisolated(nonsending) func freeID(
        for registration: Registration, at directory: RemoteObject, until deadline: NIODeadline
    ) async throws(QiError) -> UInt32 {
        var info = ServiceInfo(
            name: registration.name, serviceID: registration.id, machineID: machineID, processID: UInt32(bitPattern: getpid()),
            endpoints: currentEndpoints(), sessionID: sessionID, objectUID: registration.object.uid.bytes)
        for _ in 0...registrations.count {
            let value = try await directory.value(of: WellKnownActions.registerService, [info.qiValue], deadline: deadline)
            guard let id = value.asUInt32 else { throw QiError(.invalid, "the directory gave \"\(registration.name)\" no id") }
            if registrations.contains(where: { $0 !== registration && $0.id == id }) == false {
                info.serviceID = id
                hostedInfos[id] = info
                return id
            }
            _ = try await directory.value(of: WellKnownActions.unregisterService, [.uint32(id)], deadline: deadline)
        }
        throw QiError(.conflict, "the directory gives \"\(registration.name)\" only ids that other services of this session had")
    }

    private func bind(_ registration: Registration, to id: UInt32) {
        let old = registration.id
        if old != id, old != 0 {
            release(registration)
            for connection in connections.values { registration.object.released(.main(ofService: old), on: connection) }
            if moved.count < Self.maximumMoved { moved[old] = MovedService(registration.name) }
            bus.logger.notice("the directory gave a service another id", metadata: [LogKeys.service: "\(registration.name)", LogKeys.serviceID: "\(id)"])
        }
        moved[id] = nil
        registration.id = id
        hosted[id] = registration.object
    }

    // MARK: - When the directory is back

    /// Registers again what this session hosts.
    nonisolated(nonsending) func registerAgain(at directory: RemoteObject) async throws(QiError) {
        try await registering.all(registrations, at: directory)
    }

    private var registering: RegisteringAgain<Registration> {
        RegisteringAgain(
            bus: bus,
            register: { [self] (registration, directory) async throws(QiError) in
                try await enter(registration, at: directory, until: .now() + .seconds(10))
            },
            isWanted: { [self] registration, connection in
                registration.connection !== connection && registrations.contains { $0 === registration }
            },
            isLoss: { _ in false },
            name: \.name, firstPause: .milliseconds(100),
            limit: nil)
    }
}
