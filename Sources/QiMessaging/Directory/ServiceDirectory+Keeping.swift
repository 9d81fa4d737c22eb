import Logging
import NIOCore
import QiWire

/// Services that a device hosts here, while the way to it is lost: for ``returnTime`` they keep name and id, calls fail at once, and the
/// device that comes back takes them up again. A device that ends in order, or was started anew, has its services taken away at once.
extension ServiceDirectory {
    /// What callers are told meanwhile.
    static func away(_ name: String) -> QiError {
        QiError(.offline, "\(name): the device that hosts it is away, and expected back: try again in a moment")
    }

    /// A connection is gone, with what it had registered.
    func left(_ connection: Connection, _ reason: CloseReason) {
        guard let device = connection.origin.device, isWorthWaiting(reason, on: connection) else { return removeAll(of: connection) }
        let id = connection.id
        let (kept, gone) = table.leave(id)
        for entry in gone { removed(entry, isOrderly: false) }
        guard !kept.isEmpty else { return }
        for entry in kept {
            if case .ready(let object) = forwards[entry.info.serviceID] { object.explainLoss(Self.away(entry.info.name)) }
        }
        let expiry = bus.schedule(at: .now() + returnTime) { [weak self] in
            self?.forget(id)
            self?.bus.executor.scheduleDrain()
        }
        absent[id] = AbsentHost(device: device, opener: connection.stream?.opener, expiry: expiry)
        bus.logger.info(
            "services of a device are kept for it",
            metadata: [
                LogKeys.peer: "\(device)", LogKeys.service: "\(kept.map(\.info.name).joined(separator: " "))",
                LogKeys.error: "\(reason.error.message)",
            ])
    }

    /// Whether the way was lost, and not given up. A tunnel that is no stream does not tell which.
    private func isWorthWaiting(_ reason: CloseReason, on connection: Connection) -> Bool {
        guard returnTime > .zero, !bus.isShutDown, stopping == nil, endReason == nil else { return false }
        return switch reason {
        case .lost, .silent: true
        case .closedByPeer: connection.stream == nil
        case .stopped, .unneeded, .setUpFailed, .invalid, .refused, .tooMuch: false
        }
    }

    /// What was kept of that connection is gone.
    func forget(_ connection: UInt64) {
        absent.removeValue(forKey: connection)?.expiry.cancel()
        for entry in table.removeAll(of: .away(connection)) { removed(entry, isOrderly: false) }
    }

    /// A device took up a service again: where it was the last one that was kept of that connection, there is nothing to wait for.
    func tookUp(from connection: UInt64) {
        if table.count(of: .away(connection)) == 0 { absent.removeValue(forKey: connection)?.expiry.cancel() }
    }

    /// A program has connected: what an earlier process of it hosted does not come back.
    func forgetEarlierProcess(of connection: Connection) {
        guard let device = connection.origin.device, let opener = connection.stream?.opener else { return }
        for (id, host) in absent where host.device == device {
            if let before = host.opener, before.program == opener.program, before.instance != opener.instance { forget(id) }
        }
    }

    /// A device may not be here any more, nor what is kept for it.
    func forgetHosted(by device: String) {
        for (id, host) in absent where host.device == device { forget(id) }
    }

    /// A device registers a service on a new stream of a process whose earlier stream has lost its way, which we have not given up yet: it
    /// gives way.
    func leaveEarlierStream(hosting name: String, for connection: Connection) {
        guard let device = connection.origin.device, let opener = connection.stream?.opener,
            case .connection(let id)? = table.entry(named: name)?.owner, id != connection.id, let before = bus.connection(id),
            before.origin.device == device, let stream = before.stream, stream.path == nil, stream.opener == opener
        else { return }
        stream.fail(QiError(.disconnected, "\(device) opened another stream instead"))
    }

    /// A service was taken up again by its device: its users go on, if it has the members that it had.
    func cameBack(_ id: UInt32) {
        guard case .ready(let object) = forwards[id], let entry = table.entries[id], let owner = ownerConnection(entry) else { return }
        owner.describe(.main(ofService: id), name: entry.info.name) { [weak self] result in
            guard let self, case .ready(let now) = forwards[id], now === object, table.entries[id]?.owner == entry.owner else { return }
            switch result {
            case .success(let metaObject) where metaObject == object.metaObject: object.attach(to: owner, at: .main(ofService: id))
            case .success: changed(entry, object)
            // The connection is gone again, and what becomes of its services is decided by its end.
            case .failure where owner.isClosed: object.explainLoss(Self.away(entry.info.name))
            // The next look-up describes it anew.
            case .failure: changed(entry, object)
            }
        }
    }

    /// Under the name of a service came one with other members: for its users it is another one.
    private func changed(_ entry: DirectoryTable.Entry, _ object: RemoteObject) {
        let id = entry.info.serviceID
        object.end(QiError(.notFound, "\(entry.info.name) is another than before: look it up again"))
        forwards[id] = nil
        for connection in connections.values { connection.unbind(service: id) }
        announce(WellKnownActions.serviceRemoved, id, entry.info.name)
        announce(WellKnownActions.serviceAdded, id, entry.info.name)
        upstream?.renewed(entry.info.name)
    }
}
