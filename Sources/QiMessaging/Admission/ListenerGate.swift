import Glibc
import Logging
import NIOCore
import QiWire

/// The door of listeners: counts who comes in, and finds out who it is. Confined to the bus loop.
final class ListenerGate {
    /// A connection that was let in as far as its handshake.
    struct Ticket {
        let id: UInt64
        /// Why its handshake will be refused, in words for the client.
        let refusal: QiError?
    }

    private struct Guest {
        let connection: Connection
        /// What it has presented, where that can be taken away.
        var proof: CredentialProof?
    }

    private let bus: Bus
    let rules: ListenerRules
    /// Which addresses are let in, beside those of this machine; nil: all.
    var networks: [IPNetwork]?
    private var table: AdmissionTable
    private var guests: [UInt64: Guest] = [:]
    private var tickets: [ObjectIdentifier: UInt64] = [:]
    private var refusals: [AdmissionTable.Refusal: Int] = [:]
    /// Connections that are about to end, whose refusal was written down.
    private var told: Set<ObjectIdentifier> = []
    private var lines = RepeatedLines()
    private var check: Scheduled<Void>?
    private let turns: ReadTurns
    private let sockets = SocketOwners()

    /// How often it is asked whether those who are connected may stay.
    private static let checkTime = TimeAmount.milliseconds(900)

    init(bus: Bus, _ rules: ListenerRules) {
        self.bus = bus
        self.rules = rules
        networks = rules.networks
        table = AdmissionTable(rules.limits)
        turns = ReadTurns(bus)
    }

    /// How many are connected, and how many of them have not proven who they are.
    var counts: (all: Int, unproven: Int) { (table.count, table.countUnproven) }

    // MARK: - Coming in

    /// A connection was accepted; nothing was spent on it yet.
    ///
    /// - Returns: what ``watch(_:as:_:)`` or ``leave(_:)`` takes.
    /// - Throws: `.denied` or `.limit` when it is to be closed.
    func enter(_ origin: ConnectionOrigin, on channel: any Channel, at now: NIODeadline = .now()) throws(QiError) -> Ticket {
        let address = origin.host.flatMap { IPAddress($0) }
        let owner = isInside ? sockets.owner(of: channel) : .elsewhere
        if case .elsewhere = owner, let networks, let address, !address.isLoopback,
            !networks.contains(where: { $0.contains(address) })
        {
            let error = QiError(.denied, "\(origin) is in none of this listener's networks")
            refused(origin, error.message)
            throw error
        }
        let refusal = self.refusal(of: owner)
        if case .user(let user) = owner, refusal == nil {
            let isOwn = user == 0 || user == geteuid() || rules.users != nil
            return Ticket(id: try admitted(table.connecting(as: .user(user), isKnown: isOwn), origin), refusal: nil)
        }
        let id = try admitted(table.connecting(from: address?.place ?? [], at: now), origin)
        return Ticket(id: id, refusal: refusal)
    }

    private func admitted(_ outcome: AdmissionTable.OnConnecting, _ origin: ConnectionOrigin) throws(QiError) -> UInt64 {
        switch outcome {
        case .refuse(let refusal): throw limited(refusal, origin, presented: nil)
        case .admit(let id, let evicted):
            if let evicted { evict(evicted) }
            return id
        }
    }

    private func limited(_ refusal: AdmissionTable.Refusal, _ origin: ConnectionOrigin, presented: String?) -> QiError {
        let count = refusals[refusal, default: 0] + 1
        refusals[refusal] = count
        // The 1st, 2nd, 4th, 8th …: a flood must not become one of records.
        if count.nonzeroBitCount == 1 { refused(origin, "\(refusal.rawValue) (\(count) refused so)", presented: presented) }
        return QiError(.limit, refusal.rawValue)
    }

    /// Ends a connection whose place is given to another one.
    private func evict(_ id: UInt64) {
        guard let connection = guests[id]?.connection else { return }
        if connection.isOpen {
            refused(
                connection.origin, "its place was given to another: no other holds so many connections",
                presented: "\(connection.principal)", isProven: connection.proven != nil)
        }
        connection.close(.tooMuch("the place was given to another: too many connections are open"))
    }

    /// No descriptor is left in this process: the largest holder gives one back.
    func makeRoom() {
        guard let id = table.spare() else { return }
        evict(id)
        bus.executor.scheduleDrain()
    }

    /// What makes a connection from there take turns with the others; nil inside, where programs trust each other.
    func turnHandler(for origin: ConnectionOrigin) -> ReadTurnHandler? {
        isInside ? nil : ReadTurnHandler(turns, place: origin.host.flatMap { IPAddress($0) }?.place ?? [])
    }

    /// Counts a connection until it ends.
    func watch(_ connection: Connection, as ticket: Ticket, _ handler: ReadTurnHandler?) {
        let (id, key) = (ticket.id, ObjectIdentifier(connection))
        guests[id] = Guest(connection: connection)
        tickets[key] = id
        handler?.connection = connection
        connection.turnGiver = handler
        connection.whenOpen { [weak self, weak connection] result in
            guard let self, let connection else { return }
            if case .failure(let error) = result { return notLetIn(connection, error) }
            handler?.isProven = true
            do throws(QiError) { try takePlace(connection) } catch { connection.close(.refused(error)) }
        }
        connection.whenClosed { [weak self] _ in
            self?.tickets[key] = nil
            self?.leave(id)
        }
    }

    /// It is through the handshake, or about to be.
    ///
    /// - Throws: `.limit` when there is no place for it.
    private func takePlace(_ connection: Connection) throws(QiError) {
        guard let id = tickets[ObjectIdentifier(connection)] else { return }
        let principal = connection.principal
        let identity = principal.identity.isAuthenticated ? principal.identity : nil
        switch table.proven(id, as: identity) {
        case .stay(let evicted): if let evicted { evict(evicted) }
        case .refuse(let refusal): throw limited(refusal, connection.origin, presented: identity.map { "\($0)" })
        }
    }

    /// It ended before it was open: that is written down if it was refused, as a certificate is by TLS.
    private func notLetIn(_ connection: Connection, _ error: QiError) {
        guard told.remove(ObjectIdentifier(connection)) == nil, error.code == .denied else { return }
        refused(connection.origin, error.message)
    }

    func leave(_ id: UInt64) {
        guests[id] = nil
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
        let proven = guests.values.filter { $0.proof != nil }
        guard let stores = rules.authentication?.stores, !proven.isEmpty else { return }
        for (proof, guests) in Dictionary(grouping: proven, by: \.proof) {
            guard let proof, !stores.allSatisfy({ $0.isStillGood(proof) }) else { continue }
            for guest in guests {
                refused(
                    guest.connection.origin, "the access of \(proof) was revoked, or its secret replaced", presented: proof.description,
                    isProven: true)
                guest.connection.close(.refused(QiError(.denied, "your access was revoked, or your token replaced")))
            }
        }
        checkLater()
    }

    /// Ends the connections that were let in by a certificate, which are to show it again.
    func endCertified() {
        for guest in guests.values where guest.connection.origin.key != nil {
            refused(guest.connection.origin, "the trusted certificates were changed: it has to show its own again", isProven: true)
            guest.connection.close(.refused(QiError(.denied, "the trusted certificates were changed: connect again")))
        }
        bus.executor.scheduleDrain()
    }

    // MARK: - Who it is

    /// Whether it is a door of the robot's own bus.
    private var isInside: Bool { rules.zone == .internal }

    /// What finds out who is on a connection; nil where it is not asked.
    func authenticator(for ticket: Ticket) -> Connection.Authenticator? {
        if let refusal = ticket.refusal {
            return { [weak self] connection, _ in
                self?.told.insert(ObjectIdentifier(connection))
                self?.refused(connection.origin, refusal.message)
                throw refusal
            }
        }
        guard rules.authentication != nil else { return nil }
        return { [weak self] connection, given in
            guard let self else { throw QiError(.disconnected, "this listener has ended") }
            do throws(QiError) {
                try identify(connection, given)
                return Capabilities()
            } catch {
                told.insert(ObjectIdentifier(connection))
                throw error
            }
        }
    }

    /// Why a program of this machine is not let in.
    private func refusal(of owner: SocketOwners.Owner) -> QiError? {
        guard let users = rules.users else { return nil }
        switch owner {
        case .elsewhere: return nil
        case .user(let user) where users.contains(user): return nil
        case .user(let user):
            return QiError(
                .denied, "user \(user) of this machine may not use this port",
                hint: "in qimesh.yaml of the node: internal: { users: [\(user)] }")
        case .unknown: return QiError(.denied, "the system does not say which user of this machine this connection is of")
        }
    }

    /// Finds out who is on a connection that presents `given`: what it has proven beyond its origin.
    ///
    /// - Throws: `.denied`; `.limit` when it has as many connections as it may have.
    private func identify(_ connection: Connection, _ given: Capabilities) throws(QiError) {
        let proof: CredentialProof?
        do throws(QiError) {
            proof = try prove(connection, given)
        } catch {
            refused(connection.origin, error.message, presented: (try? Credentials(given)).map { "user:\($0.user.cut(toBytes: 64))" })
            throw error
        }
        connection.proven = proof?.identity
        try takePlace(connection)
        guard let proof, let id = tickets[ObjectIdentifier(connection)] else { return }
        guests[id]?.proof = proof
        checkLater()
    }

    private func prove(_ connection: Connection, _ given: Capabilities) throws(QiError) -> CredentialProof? {
        guard let authentication = rules.authentication else { return nil }
        if let credentials = try Credentials(given) {
            for store in authentication.stores {
                if let proof = store.proof(of: credentials) { return proof }
            }
            throw QiError(.denied, "unknown user, or wrong token")
        }
        if connection.origin.identity?.isAuthenticated == true { return nil }
        guard authentication.admitsAnonymous else {
            throw QiError(.denied, "this gateway wants a user and a token")
        }
        return nil
    }

    private func refused(_ origin: ConnectionOrigin, _ reason: String, presented: String? = nil, isProven: Bool = false) {
        if let count = lines.count("\(origin.host.map(IPAddress.place(of:)) ?? "") \(reason)") {
            var metadata: Logger.Metadata = [LogKeys.peer: "\(origin)", LogKeys.error: "\(reason)"]
            if count > 1 { metadata["qi.repeats"] = "\(count)" }
            bus.logger.notice("connection refused", metadata: metadata)
        }
        guard let audit = rules.audit else { return }
        let zone = rules.zone(of: origin.host)
        let principal = presented ?? Principal(origin, zone: zone).description
        audit.record(
            AuditRecord(
                event: "refused", principal: principal, zone: zone, target: isInside ? "directory" : "gateway", access: "connect",
                isAllowed: false, path: "\(origin)", detail: reason,
                place: isProven ? nil : origin.host.map(IPAddress.place(of:))))
    }
}
