import Logging
import QiMessaging
import XMPP

/// Who is let in. The owner's word makes a contact and ends one; the server's list is made to follow.
extension XMPPGateway {
    // MARK: - The owner's word

    /// Lets a device in: writes that down, lets it see us, and asks to see it.
    ///
    /// - Throws: `.conflict` or `.invalid` for the name, `.timedOut` or `.offline` when the server did not take it: then a device that was
    ///   no contact is none.
    func invite(_ jid: JID, name: String?, by admission: Contact.Admission = .invited) async throws(QiError) {
        let wasContact = contacts.isContact(jid)
        try admit(jid, name: name, by: admission)
        do throws(XMPPError) {
            let item = client.roster().first { $0.jid == jid.bare }
            try await client.setRosterItem(jid, name: contacts.contact(jid)?.name, groups: item?.groups ?? [])
            if admission == .invited, item?.subscription != .both {
                try await client.approveSubscription(of: jid)
                try await client.subscribe(to: jid)
            } else {
                try await befriend(jid)
            }
            asked(jid)
        } catch {
            if !wasContact { try forget(jid) }
            throw QiError(
                error.code == .timedOut ? .timedOut : .offline, "the server did not take that: \(error.message)", hint: "qimesh status",
                cause: error)
        }
    }

    /// Lets an account see us, and asks to see it: whatever of both is missing.
    func befriend(_ jid: JID) async throws(XMPPError) {
        // Also where no request was seen: a server may hold one that it does not deliver again.
        if !client.isSeen(by: jid) { try await client.approveSubscription(of: jid) }
        let item = client.roster().first { $0.jid == jid.bare }
        if item?.subscription != .to, item?.subscription != .both { try await client.subscribe(to: jid) }
    }

    /// Refuses a request, or ends a contact with everything that runs to it. The contact ends also when the server cannot be told.
    func deny(_ jid: JID) async throws {
        try forget(jid)
        try await unlist(jid)
    }

    /// Takes a device from the server's list, and its request with it.
    func unlist(_ jid: JID) async throws(XMPPError) {
        try await client.denySubscription(of: jid)
        if client.roster().contains(where: { $0.jid == jid.bare }) { try await client.removeRosterItem(jid) }
    }

    /// Writes down that a device is let in.
    func admit(_ jid: JID, name: String?, by admission: Contact.Admission) throws(QiError) {
        let device = "\(jid.bare)"
        let contact: Contact
        let before = contacts.contact(jid)
        do throws(MeshError) {
            contact = try trust.admit(device, of: "\(own)", name: name, by: admission)
        } catch {
            throw QiError(error)
        }
        client.admissionChanged(jid.bare)
        peers.observers.notify()
        guard contact != before else { return }
        logger.notice(
            "a contact", metadata: ["xmpp.peer.jid": "\(device)", "name": "\(contact.name ?? "")", "by": "\(admission.rawValue)"])
        record("contact", device, admission.rawValue, isAllowed: true, contact.name.map { "called \($0)" })
    }

    /// Writes down that a device is let in no more, and ends what runs to it.
    private func forget(_ jid: JID) throws(QiError) {
        let device = "\(jid.bare)"
        do throws(MeshError) {
            if try trust.removeContact(device, of: "\(own)") { record("contact", device, "ended", isAllowed: true, nil) }
        } catch {
            throw QiError(error)
        }
        client.admissionChanged(jid.bare)
        peers.observers.notify()
        server.dropDevice(device, QiError(.denied, "\(device) is no contact any more"))
    }

    // MARK: - What the configuration lets in

    /// Whether a request is answered without a person: of a contact, or of a device that `accept` names.
    func isExpected(_ jid: JID) -> Bool { contacts.isContact(jid) || isAccepted(jid) }

    private func isAccepted(_ jid: JID) -> Bool {
        account.accept.contains { $0.matches("\(jid.bare)") } && !isRevoked(jid)
    }

    /// Makes a device that `accept` names a contact. False for one that is let in by nothing any more.
    func letIn(_ jid: JID) throws(QiError) -> Bool {
        if contacts.isContact(jid) { return true }
        guard isAccepted(jid) else { return false }
        try admit(jid, name: nil, by: .accept)
        return true
    }

    // MARK: - The server's list

    /// Whether a device stands in the server's list without the owner's word. One that `accept` names is let in; others are told of once.
    func isListedUnasked(_ item: RosterItem) -> Bool {
        guard item.subscription == .both || item.subscription == .from, !contacts.isContact(item.jid) else { return false }
        if isAccepted(item.jid) {
            decisions.continuation.yield(item.jid)
        } else if isNewUnconfirmed(item.jid) {
            logger.notice(
                "the server lists a contact that was not let in here",
                metadata: ["xmpp.peer.jid": "\(item.jid)", "answer": "\(Command.approve(item.jid))"])
            record("unconfirmed", "\(item.jid)", "contact", isAllowed: false, "listed by \(own.domain), not let in by the owner")
        }
        return true
    }

    /// After each login: the server's list follows what the owner said. A server that forgot, or was not reached, must not keep a contact
    /// that the owner has revoked, and cannot end one.
    func repairContacts() async {
        for await _ in logins.stream {
            for item in client.roster() where isRevoked(item.jid) {
                do throws(XMPPError) {
                    try await unlist(item.jid)
                } catch {
                    logger.warning(
                        "a revoked contact is still in the contact list",
                        metadata: ["xmpp.peer.jid": "\(item.jid)", "error": "\(error.message)"])
                }
            }
            // What more than the stream of decisions can hold was listed at once.
            for item in client.roster() where isListedUnasked(item) { await Task.yield() }
            let items = Dictionary(client.roster().map { ($0.jid, $0) }) { first, _ in first }
            for contact in contacts.all {
                guard client.state.isOnline, let jid = JID(contact.jid) else { continue }
                await repair(jid, ContactRepair.steps(contact, item: items[jid], sinceAsked: sinceAsked(jid)))
            }
        }
    }

    private func repair(_ jid: JID, _ steps: [ContactRepair.Step]) async {
        do throws(XMPPError) {
            for step in steps {
                switch step {
                case .list(let name, let groups): try await client.setRosterItem(jid, name: name, groups: groups)
                case .approve: try await client.expectSubscription(of: jid)
                case .subscribe:
                    try await client.subscribe(to: jid)
                    asked(jid)
                }
            }
        } catch {
            logger.debug("the server's list does not follow yet", metadata: ["xmpp.peer.jid": "\(jid)", "error": "\(error)"])
        }
    }

    // MARK: - The audit

    /// The first key of a device is written down with its fingerprint: who looks later can compare it.
    static func recordPin(_ key: KeyFingerprint, of device: String, _ server: DirectoryServer, _ logger: Logger) {
        logger.notice("first contact", metadata: ["xmpp.peer.jid": "\(device)", "qimesh.key": "\(key)"])
        server.access?.record(
            AuditRecord(
                event: "pin", principal: device, zone: .internet, target: "\(key)", access: "pin", isAllowed: true,
                path: "device \(device)", detail: "first contact"))
    }

    private func record(_ event: String, _ device: String, _ access: String, isAllowed: Bool, _ detail: String?) {
        server.access?.record(
            AuditRecord(
                event: event, principal: device, zone: .internet, target: "\(own)", access: access, isAllowed: isAllowed,
                path: "device \(device)", detail: detail))
    }
}

extension QiError {
    /// What a store of this device says, for those who asked over the bus.
    init(_ error: MeshError) {
        let code: Code =
            switch error.code {
            case .usage: .invalid
            case .tooLarge: .limit
            case .notFound: .notFound
            default: .denied
            }
        self.init(code, error.message, hint: error.hint, cause: error)
    }
}
