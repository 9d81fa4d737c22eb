import Logging
import QiMessaging
import XMPP

/// Who is let in. The owner's word makes a contact and ends one; the server's list is made to follow.
extension XMPPGateway {
    // MARK: - The owner's word

    /// Lets a device in: writes that down, lets it see us, and asks to see it.
    ///
    /// - Throws: `.conflict` or `.invalid` for the name, `.timedOut` or `.offline` when the server did not take it: then a device that was
    ///   no contact is none, and one that was revoked is revoked.
    func invite(_ jid: JID, name: String?, by admission: Contact.Admission = .invited) async throws(QiError) {
        let word = try admit(jid, name: name, by: admission)
        do throws(XMPPError) {
            let item = listed(jid)
            try await client.setRosterItem(jid, name: contacts.contact(jid)?.name, groups: item?.groups ?? [])
            if admission == .invited, item?.subscription != .both {
                try await client.approveSubscription(of: jid)
                try await client.subscribe(to: jid)
            } else {
                try await befriend(jid)
            }
            asked(jid)
        } catch {
            try takeBack(word)
            throw QiError(
                error.code == .timedOut ? .timedOut : .offline, "the server did not take that: \(error.message)", hint: "qimesh status",
                cause: error)
        }
    }

    /// Lets an account see us, and asks to see it: whatever of both is missing.
    func befriend(_ jid: JID) async throws(XMPPError) {
        // Also where no request was seen: a server may hold one that it does not deliver again.
        if !client.isSeen(by: jid) { try await client.approveSubscription(of: jid) }
        let item = listed(jid)
        if item?.subscription != .to, item?.subscription != .both { try await client.subscribe(to: jid) }
    }

    /// Refuses a request, or ends a contact with everything that runs to it and the tokens that it used. The contact ends also when the
    /// server cannot be told.
    func deny(_ jid: JID) async throws {
        try forget(jid)
        try await unlist(jid)
    }

    /// Takes a device from the server's list, and its request with it.
    func unlist(_ jid: JID) async throws(XMPPError) {
        try await client.denySubscription(of: jid)
        if isListed(jid) { try await client.removeRosterItem(jid) }
    }

    /// Writes down that a device is let in.
    @discardableResult
    func admit(_ jid: JID, name: String?, by admission: Contact.Admission) throws(QiError) -> Admitted {
        let word: Admitted
        do throws(MeshError) {
            word = try trust.admit("\(jid.bare)", of: "\(own)", name: name, by: admission)
        } catch {
            throw QiError(error)
        }
        admitted(jid, word)
        return word
    }

    /// A device was let in, or more was said of one that is: whatever changed is audited.
    func admitted(_ jid: JID, _ word: Admitted) {
        client.admissionChanged(jid.bare)
        peers.observers.notify()
        guard word.isNews else { return }
        let contact = word.contact
        let admission = contact.admission.rawValue
        logger.notice(
            "a contact", metadata: ["xmpp.peer.jid": "\(contact.jid)", "name": "\(contact.name ?? "")", "by": "\(admission)"])
        record("contact", contact.jid, admission, isAllowed: true, contact.name.map { "called \($0)" })
    }

    /// The owner's word came to nothing: the device is again what it was, a contact, revoked or none.
    func takeBack(_ word: Admitted) throws(QiError) {
        do throws(MeshError) {
            guard try trust.takeBack(word) else { return }
        } catch {
            throw QiError(error)
        }
        let jid = word.contact.jid
        if word.formerContact == nil {
            let state = word.formerRevocation == nil ? "" : "; revoked as before"
            record("contact", jid, "ended", isAllowed: true, "not completed\(state)")
            server.dropDevice(jid, QiError(.denied, "\(jid) is no contact any more"))
        } else if word.isNews {
            record("contact", jid, "as before", isAllowed: true, "a change was not completed")
        }
        if let jid = JID(jid) { client.admissionChanged(jid) }
        peers.observers.notify()
    }

    /// Writes down that a device is let in no more, and ends what runs to it and the tokens that it used.
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
        do throws(MeshError) {
            // Else it would ask again with the same token, and be a contact again.
            try enrollments?.revoked(jid: device)
        } catch {
            throw QiError(error)
        }
    }

    // MARK: - What the configuration lets in

    /// Makes a device that asks and that `accept` names a contact. False for one that is let in by nothing any more.
    func letIn(_ jid: JID) throws(QiError) -> Bool {
        if contacts.isContact(jid) { return true }
        guard contacts.isAccepted(jid, listed: listed(jid)) else { return false }
        try admit(jid, name: nil, by: .accept)
        return true
    }

    // MARK: - The server's list

    /// Whether a device stands in the server's list without the owner's word, which is told once. One that `accept` names, too: it is let in
    /// when it asks, and what only the server lists has not asked.
    func isListedUnasked(_ item: RosterItem) -> Bool {
        guard item.subscription == .both || item.subscription == .from, !contacts.isContact(item.jid) else { return false }
        if isNewUnconfirmed(item.jid) {
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
            for item in client.roster() where contacts.isRevoked(item.jid) {
                do throws(XMPPError) {
                    try await unlist(item.jid)
                } catch {
                    logger.warning(
                        "a revoked contact is still in the contact list",
                        metadata: ["xmpp.peer.jid": "\(item.jid)", "error": "\(error.message)"])
                }
            }
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

    private func record(_ event: String, _ device: String, _ access: String, isAllowed: Bool, _ detail: String?) {
        server.access?.record(
            AuditRecord(
                event: event, principal: device, zone: .internet, target: "\(own)", access: access, isAllowed: isAllowed,
                path: "device \(device)", detail: detail))
    }
}
