import Logging
import NIOCore
import QiWire

/// The door of a gateway's listeners: counts who comes in, and finds out who it is. Confined to the bus loop.
final class ListenerGate {
    private let bus: Bus
    let rules: ListenerRules
    private var table: AdmissionTable
    private var connections: [UInt64: Connection] = [:]
    private var refusals: [AdmissionTable.Refusal: Int] = [:]
    /// Connections that are about to end, whose refusal was written down.
    private var told: Set<ObjectIdentifier> = []
    private var check: Scheduled<Void>?
    private let turns: ReadTurns

    /// How often it is asked whether those who are connected may stay.
    private static let checkTime = TimeAmount.milliseconds(900)

    init(bus: Bus, _ rules: ListenerRules) {
        self.bus = bus
        self.rules = rules
        table = AdmissionTable(rules.limits)
        turns = ReadTurns(bus)
    }

    /// How many are connected, and how many of them have not proven who they are.
    var counts: (all: Int, unproven: Int) { (table.count, table.countUnproven) }

    // MARK: - Coming in

    /// A connection was accepted; nothing was spent on it yet.
    ///
    /// - Returns: what ``watch(_:as:)`` or ``leave(_:)`` takes.
    /// - Throws: `.denied` or `.limit` when it is to be closed.
    func enter(_ origin: ConnectionOrigin, at now: NIODeadline = .now()) throws(QiError) -> UInt64 {
        let address = origin.host.flatMap { IPAddress($0) }
        if let networks = rules.networks, let address, !address.isLoopback, !networks.contains(where: { $0.contains(address) }) {
            let error = QiError(.denied, "\(origin) is in none of this listener's networks")
            refused(origin, error.message)
            throw error
        }
        switch table.connecting(from: address?.place ?? [], at: now) {
        case .refuse(let refusal):
            let count = refusals[refusal, default: 0] + 1
            refusals[refusal] = count
            // The 1st, 2nd, 4th, 8th …: a flood must not become one of records.
            if count.nonzeroBitCount == 1 { refused(origin, "\(refusal.rawValue) (\(count) refused so)") }
            throw QiError(.limit, refusal.rawValue)
        case .admit(let id, let evicted):
            if let evicted { connections[evicted]?.close(QiError(.limit, "others wait to prove who they are")) }
            return id
        }
    }

    /// What makes a connection from there take turns with the others.
    func turnHandler(for origin: ConnectionOrigin) -> ReadTurnHandler {
        ReadTurnHandler(turns, place: origin.host.flatMap { IPAddress($0) }?.place ?? [])
    }

    /// Counts a connection until it ends.
    func watch(_ connection: Connection, as id: UInt64, _ handler: ReadTurnHandler) {
        connections[id] = connection
        connection.whenOpen { [weak self] result in
            guard let self else { return }
            if case .failure(let error) = result { return notLetIn(connection, error) }
            handler.isProven = true
            table.proven(id)
            if connection.proven != nil { checkLater() }
        }
        connection.whenClosed { [weak self] _ in self?.leave(id) }
    }

    /// It ended before it was open: that is written down if it was refused, as a certificate is by TLS.
    private func notLetIn(_ connection: Connection, _ error: QiError) {
        guard told.remove(ObjectIdentifier(connection)) == nil, error.code == .denied else { return }
        refused(connection.origin, error.message)
    }

    func leave(_ id: UInt64) {
        connections[id] = nil
        table.closed(id)
    }

    // MARK: - Whether they may stay

    private func checkLater() {
        guard check == nil, !bus.isShutDown else { return }
        check = bus.schedule(at: .now() + Self.checkTime) { [weak self] in
            guard let self else { return }
            check = nil
            endRevoked()
            bus.executor.scheduleDrain()
        }
    }

    private func endRevoked() {
        let proven = connections.values.filter { $0.proven != nil }
        guard let stores = rules.authentication?.stores, !proven.isEmpty else { return }
        for (identity, connections) in Dictionary(grouping: proven, by: \.proven) {
            guard let identity, !stores.allSatisfy({ $0.isStillGood(identity) }) else { continue }
            for connection in connections {
                refused(connection.origin, "the access of \(identity) was revoked", presented: identity.description)
                connection.close(QiError(.denied, "your access was revoked"))
            }
        }
        checkLater()
    }

    // MARK: - Who it is

    /// Whether clients are asked who they are.
    var asks: Bool { rules.authentication != nil }

    /// Finds out who is on a connection that presents `given`: what it has proven beyond its origin.
    ///
    /// - Throws: `.denied`.
    func identify(_ connection: Connection, _ given: Capabilities) throws(QiError) -> Principal.Identity? {
        do throws(QiError) {
            return try prove(connection, given)
        } catch {
            told.insert(ObjectIdentifier(connection))
            refused(connection.origin, error.message, presented: (try? Credentials(given)).map { "user:\($0.user.prefix(64))" })
            throw error
        }
    }

    private func prove(_ connection: Connection, _ given: Capabilities) throws(QiError) -> Principal.Identity? {
        guard let authentication = rules.authentication else { return nil }
        if let credentials = try Credentials(given) {
            for store in authentication.stores {
                if let identity = store.identity(of: credentials) { return identity }
            }
            throw QiError(.denied, "unknown user, or wrong token")
        }
        if case .tls(_, .some) = connection.origin { return nil }
        guard authentication.admitsAnonymous else {
            throw QiError(.denied, "this gateway wants a user and a token")
        }
        return nil
    }

    private func refused(_ origin: ConnectionOrigin, _ reason: String, presented: String? = nil) {
        bus.logger.notice("connection refused", metadata: [LogKeys.peer: "\(origin)", LogKeys.error: "\(reason)"])
        guard let audit = rules.audit else { return }
        let zone = rules.zone(of: origin.host)
        let principal = presented ?? Principal(origin, zone: zone).description
        audit.record(
            AuditRecord(
                event: "refused", principal: principal, zone: zone, target: "gateway", access: "connect", isAllowed: false,
                path: "\(origin)", detail: reason))
    }
}
