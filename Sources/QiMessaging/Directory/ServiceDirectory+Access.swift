import NIOCore
import QiWire

/// What a policy hides, and what changes when it changes.
extension ServiceDirectory {
    /// Service 1 as a connection uses it.
    func object(for connection: Connection) -> LocalObject {
        // One that refuses to register says why.
        connection.isOutside && connection.access == nil && readOnlyReason == nil ? guestObject : object
    }

    func serviceName(of id: UInt32, on connection: Connection) -> String? {
        if id == 1 { return "ServiceDirectory" }
        if let entry = table.entries[id] { return entry.info.name }
        if let hidden = hidden.first(where: { $0.value.id == id }) { return hidden.key }
        if let name = lookUpNames[id] { return name }
        return master?.listed.first { $0.serviceID == id }?.name
    }

    /// Whether a connection may know of a service of this name. By its members where they are known, else by what one of that name could
    /// have.
    func maySee(_ name: String, on connection: Connection) -> Bool {
        guard let access = connection.access else { return true }
        return maySee(name, on: connection) { access.maySee($0, $1) }
    }

    private func maySee(_ name: String, on connection: Connection, _ decide: (String, MetaObject?) -> Bool) -> Bool {
        guard let entry = table.find(name) else { return decide(name, lookUps[name]?.service.object.memberTable?.metaObject) }
        // Whoever hosts a service knows of it.
        if entry.owner == .connection(connection.id) { return true }
        return decide(name, metaObject(of: entry))
    }

    private func metaObject(of entry: DirectoryTable.Entry) -> MetaObject? {
        if let local = locals[entry.info.serviceID] { return local.metaObject }
        if case .ready(let object) = forwards[entry.info.serviceID] { return object.metaObject }
        if entry.owner == .upstream { return lookUps[entry.info.name]?.service.object.memberTable?.metaObject }
        return nil
    }

    /// What a look-up of a hidden service answers: what one of a service that is not there does.
    func refusal(of name: String, with members: MetaObject? = nil, for connection: Connection) -> QiError? {
        guard let access = connection.access else { return nil }
        guard members.map({ !access.maySee(name, $0) }) ?? !maySee(name, on: connection) else { return nil }
        access.noteHidden(name, "look-up")
        return Self.notFound(name)
    }

    /// What one connection may register, a principal from outside may register over all of its connections.
    ///
    /// - Throws: `.limit`.
    func checkShare(of connection: Connection, for name: String, _ holder: DirectoryTable.Holder) throws(QiError) {
        guard connection.isOutside || connection.origin.device != nil, !table.isKept(name, for: holder) else { return }
        let identity = connection.principal.identity
        let own = connections.values.filter { $0.principal.identity == identity }
        let count = own.reduce(table.kept(for: holder)) { $0 + table.count(of: .connection($1.id)) }
        guard count >= table.maximumPerOwner else { return }
        throw QiError(.limit, "\(identity) has registered \(table.maximumPerOwner) services: unregister some")
    }

    /// Takes away what a connection from outside hosts and may not host any more. The robot's own programs keep what they have.
    private func endForbiddenHosting(by connection: Connection) {
        guard connection.isOutside, let access = connection.access else { return }
        let own = table.entries.values.filter { $0.owner == .connection(connection.id) && !access.mayRegister($0.info.name) }
        for entry in own { removed(entry.info.serviceID, of: entry.owner) }
    }

    // MARK: - Another policy

    /// Applies the policy in force to every connection: ends what is not allowed any more, and tells what came into sight and what went
    /// out of it.
    ///
    /// - Parameter before: the policy until now, and when it was last looked at.
    func policyChanged(from before: (policy: PermissionPolicy, time: Int64)) {
        guard let accessControl else { return }
        upstream?.policyChanged()
        for connection in Array(connections.values) {
            let principal = connection.principal
            connection.enforce(accessControl)
            guard !connection.isClosed else { continue }
            connection.endForbiddenSubscriptions()
            endForbiddenHosting(by: connection)
            if let access = connection.access {
                for object in [object, guestObject] {
                    object.endSubscriptions(on: connection, at: .serviceDirectory) { access.maySubscribe(to: $0, of: "ServiceDirectory") }
                }
            }
            let known = table.ready.map { ($0.info.serviceID, $0.info.name) } + mirroredIDs.map { ($0.value, $0.key) }
            for (id, name) in known {
                let was = maySee(name, on: connection) {
                    before.policy.maySee(principal, $0, members: $1.map(MemberNames.init), at: before.time)
                }
                let may = maySee(name, on: connection)
                guard was != may else { continue }
                announce(
                    may ? WellKnownActions.serviceAdded : WellKnownActions.serviceRemoved, id, name, only: [connection])
            }
        }
    }
}
