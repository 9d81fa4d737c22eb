import Logging
import QiMessaging
import Synchronization
import XMPP

/// Who is let in at one account. The owner's word makes a contact and ends one; the server's list is made to follow.
final class ContactAdmission: Sendable {
    private struct State {
        /// What the server lists and the owner has not let in, as far as it was told; bounded.
        var unconfirmed: Set<JID> = []
        /// When the contacts were last asked whether we may see them.
        var asked: [JID: ContinuousClock.Instant] = [:]
    }

    private let account: GatewayAccount
    private let asking: RareNotice
    private let state = Mutex(State())
    private let decisions = AsyncStream.makeStream(of: SubscriptionRequest.self, bufferingPolicy: .bufferingNewest(256))
    private let logins = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

    init(_ account: GatewayAccount) {
        self.account = account
        asking = RareNotice("a device asks to be a contact", account.logger)
    }

    /// Answers requests that need no person, and has the server's list follow; until the task is cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.answerRequests() }
            group.addTask { await self.repairContacts() }
        }
    }

    /// Whether the account is a contact, stands in the server's list, or asks to be one.
    func knows(_ jid: JID) -> Bool {
        account.contacts.isContact(jid) || account.listed(jid) != nil
            || account.client.pendingSubscriptionRequests().contains { $0.from == jid.bare }
    }

    // MARK: - The owner's word

    /// Lets a device in: writes that down, lets it see us, and asks to see it.
    ///
    /// - Throws: `.conflict` or `.invalid` for the name, `.timedOut` or `.offline` when the server did not take it: then a device that was
    ///   no contact is none, and one that was revoked is revoked.
    func invite(_ jid: JID, name: String?, by admission: Contact.Admission = .invited) async throws(QiError) {
        let word = try admit(jid, name: name, by: admission)
        do throws(XMPPError) {
            let item = account.listed(jid)
            try await account.client.setRosterItem(jid, name: account.contacts.contact(jid)?.name, groups: item?.groups ?? [])
            if admission == .invited, item?.subscription != .both {
                try await account.client.approveSubscription(of: jid)
                try await account.client.subscribe(to: jid)
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
        if !account.client.isSeen(by: jid) { try await account.client.approveSubscription(of: jid) }
        let item = account.listed(jid)
        if item?.subscription != .to, item?.subscription != .both { try await account.client.subscribe(to: jid) }
    }

    /// Refuses a request, or ends a contact with everything that runs to it and the tokens that it used. The contact ends also when the
    /// server cannot be told.
    func deny(_ jid: JID) async throws {
        try forget(jid)
        try await unlist(jid)
    }

    /// Takes a device from the server's list, and its request with it.
    func unlist(_ jid: JID) async throws(XMPPError) {
        try await account.client.denySubscription(of: jid)
        if account.listed(jid) != nil { try await account.client.removeRosterItem(jid) }
    }

    /// Writes down that a device is let in.
    private func admit(_ jid: JID, name: String?, by admission: Contact.Admission) throws(QiError) -> Admitted {
        let word: Admitted
        do throws(MeshError) {
            word = try account.trust.admit("\(jid.bare)", of: "\(account.own)", name: name, by: admission)
        } catch {
            throw QiError(error)
        }
        admitted(jid, word)
        return word
    }

    /// A device was let in, or more was said of one that is: whatever changed is audited.
    private func admitted(_ jid: JID, _ word: Admitted) {
        account.client.admissionChanged(jid.bare)
        account.peers.observers.notify()
        guard word.isNews else { return }
        let contact = word.contact
        let admission = contact.admission.rawValue
        account.logger.notice(
            "a contact", metadata: ["xmpp.peer.jid": "\(contact.jid)", "name": "\(contact.name ?? "")", "by": "\(admission)"])
        account.record("contact", contact.jid, admission, isAllowed: true, contact.name.map { "called \($0)" })
    }

    /// The owner's word came to nothing: the device is again what it was, a contact, revoked or none.
    func takeBack(_ word: Admitted) throws(QiError) {
        do throws(MeshError) {
            guard try account.trust.takeBack(word) else { return }
        } catch {
            throw QiError(error)
        }
        let jid = word.contact.jid
        if word.formerContact == nil {
            let state = word.formerRevocation == nil ? "" : "; revoked as before"
            account.record("contact", jid, "ended", isAllowed: true, "not completed\(state)")
            account.server.dropDevice(jid, QiError(.denied, "\(jid) is no contact any more"))
        } else if word.isNews {
            account.record("contact", jid, "as before", isAllowed: true, "a change was not completed")
        }
        if let jid = JID(jid) { account.client.admissionChanged(jid) }
        account.peers.observers.notify()
    }

    /// Writes down that a device is let in no more, and ends what runs to it and the tokens that it used.
    private func forget(_ jid: JID) throws(QiError) {
        let device = "\(jid.bare)"
        do throws(MeshError) {
            if try account.trust.removeContact(device, of: "\(account.own)") {
                account.record("contact", device, "ended", isAllowed: true, nil)
            }
        } catch {
            throw QiError(error)
        }
        account.client.admissionChanged(jid.bare)
        account.peers.observers.notify()
        account.server.dropDevice(device, QiError(.denied, "\(device) is no contact any more"))
        do throws(MeshError) {
            // Else it would ask again with the same token, and be a contact again.
            try account.enrollments?.revoked(jid: device)
        } catch {
            throw QiError(error)
        }
    }

    /// Lets in a device that has proved a token, with the key that the proof names.
    @discardableResult
    func pair(_ device: JID, _ key: KeyFingerprint, name: String?) throws(MeshError) -> Admitted {
        let word = try account.trust.pair("\(device)", of: "\(account.own)", name: name, key: key)
        if word.isNewKey { account.keys.recordPin(key, of: "\(device)") }
        admitted(device, word)
        return word
    }

    /// Returns early when our server says otherwise than before whether we and the device see each other.
    func awaitChange(with device: JID, within limit: Duration) async {
        let wasMutual = account.client.isMutual(device)
        await Race.within(limit) { [account] in
            for await _ in account.peers.observers.changes() where account.client.isMutual(device) != wasMutual { return }
        }
    }

    // MARK: - What the configuration lets in

    /// Makes a device that asks and that `accept` names a contact. False for one that is let in by nothing any more.
    private func letIn(_ jid: JID) throws(QiError) -> Bool {
        if account.contacts.isContact(jid) { return true }
        guard account.contacts.isAccepted(jid, listed: account.listed(jid)) else { return false }
        _ = try admit(jid, name: nil, by: .accept)
        return true
    }

    // MARK: - The server's list

    /// Whether a device stands in the server's list without the owner's word, which is told once. One that `accept` names, too: it is let in
    /// when it asks, and what only the server lists has not asked.
    private func isListedUnasked(_ item: RosterItem) -> Bool {
        guard item.subscription == .both || item.subscription == .from, !account.contacts.isContact(item.jid) else { return false }
        if isNewUnconfirmed(item.jid) {
            account.logger.notice(
                "the server lists a contact that was not let in here",
                metadata: ["xmpp.peer.jid": "\(item.jid)", "answer": "\(Command.approve(item.jid))"])
            account.record(
                "unconfirmed", "\(item.jid)", "contact", isAllowed: false, "listed by \(account.own.domain), not let in by the owner")
        }
        return true
    }

    /// After each login: the server's list follows what the owner said. A server that forgot, or was not reached, must not keep a contact
    /// that the owner has revoked, and cannot end one.
    private func repairContacts() async {
        for await _ in logins.stream {
            for item in account.client.roster() where account.contacts.isRevoked(item.jid) {
                do throws(XMPPError) {
                    try await unlist(item.jid)
                } catch {
                    account.logger.warning(
                        "a revoked contact is still in the contact list",
                        metadata: ["xmpp.peer.jid": "\(item.jid)", "error": "\(error.message)"])
                }
            }
            let items = Dictionary(account.client.roster().map { ($0.jid, $0) }) { first, _ in first }
            for contact in account.contacts.all {
                guard account.client.state.isOnline, let jid = JID(contact.jid) else { continue }
                await repair(jid, ContactRepair.steps(contact, item: items[jid], sinceAsked: sinceAsked(jid)))
            }
        }
    }

    private func repair(_ jid: JID, _ steps: [ContactRepair.Step]) async {
        do throws(XMPPError) {
            for step in steps {
                switch step {
                case .list(let name, let groups): try await account.client.setRosterItem(jid, name: name, groups: groups)
                case .approve: try await account.client.expectSubscription(of: jid)
                case .subscribe:
                    try await account.client.subscribe(to: jid)
                    asked(jid)
                }
            }
        } catch {
            account.logger.debug("the server's list does not follow yet", metadata: ["xmpp.peer.jid": "\(jid)", "error": "\(error)"])
        }
    }

    // MARK: - What others ask

    /// The client is logged in.
    func loggedIn() { logins.continuation.yield() }

    /// An account asks to see our presence.
    func subscriptionRequested(_ request: SubscriptionRequest) {
        guard account.contacts.expects(request.from, listed: account.listed(request.from)) else {
            if let token = request.token, account.enrollments?.expects(handle: token) == true {
                // Not decided by this: servers have seen the token's name. The request that proves the token comes next.
                return account.logger.info("a device begins to pair", metadata: ["xmpp.peer.jid": "\(request.from)"])
            }
            return asking.say(["xmpp.peer.jid": "\(request.from)", "answer": "\(Command.approve(request.from))"])
        }
        if case .dropped(let unanswered) = decisions.continuation.yield(request) { account.client.keep(unanswered) }
    }

    /// Answers the requests that need no person.
    private func answerRequests() async {
        for await request in decisions.stream {
            let jid = request.from
            do {
                guard try letIn(jid) else { continue }
                try await befriend(jid)
            } catch {
                // It waits for its owner, who can approve it.
                account.client.keep(request)
                let words = TunnelEndHandler.words(of: error) ?? "\(error)"
                account.logger.warning("a contact could not be approved", metadata: ["xmpp.peer.jid": "\(jid)", "error": "\(words)"])
            }
        }
    }

    /// The server's list has another entry.
    func rosterChanged(_ item: RosterItem) {
        account.peers.observers.notify()
        if isListedUnasked(item) { return }
        guard !item.isMutual else { return account.server.deviceChanged("\(item.jid)") }
        let (name, isContact) = ("\(item.jid)", account.contacts.isContact(item.jid))
        // What the server does not list so is out of reach, and a contact all the same: only its owner's word ends it, here or there.
        let error: QiError =
            switch item.subscription {
            case _ where !isContact: QiError(.denied, "\(name) is no contact any more")
            case .remove: QiError(.disconnected, "\(account.own.domain) does not list \(name) as a contact at the moment")
            default:
                QiError(
                    .denied,
                    "\(name) is a contact here, and by \(account.own.domain)'s list the two have not both approved each other any more",
                    hint: "on that device: qimesh approve \(PrivateFile.quoted("\(account.own)"))")
            }
        account.server.dropDevice(name, error)
    }

    // MARK: - What is remembered

    /// Whether an account that is listed and not let in is told of for the first time.
    private func isNewUnconfirmed(_ jid: JID) -> Bool {
        state.withLock { $0.unconfirmed.count < 256 && $0.unconfirmed.insert(jid).inserted }
    }

    /// The time since a contact was asked whether we may see it; nil for never.
    private func sinceAsked(_ jid: JID) -> Duration? { state.withLock { $0.asked[jid] }.map { .now - $0 } }

    private func asked(_ jid: JID) {
        state.withLock { state in
            if state.asked.count >= ContactTable.limit { state.asked = [:] }
            state.asked[jid] = .now
        }
    }
}
