import Logging
import QiMessaging
import XMPP

/// The side that was given a token: asks until somebody answers for it, and pins.
final class TokenPairing: Sendable {
    private let account: GatewayAccount
    private let admission: ContactAdmission

    init(_ account: GatewayAccount, _ admission: ContactAdmission) {
        self.account = account
        self.admission = admission
    }

    /// Pairs with the device that made a token: both become contacts, each with a name and with the other's key pinned.
    ///
    /// - Parameters:
    ///   - name: what the device shall be called here; empty for the name in the token, or the part of its address before the `@`.
    ///   - deadline: when to give up on a device that does not answer.
    ///   - report: hears what is done and waited for, in words.
    /// - Returns: what the device is called here.
    /// - Throws: `.denied` when the token, or the key it names, is refused, `.conflict` for a name that another contact has,
    ///   `.offline` when nobody answered until the deadline, `.timedOut` when the servers did not make the contact, `.cancelled`.
    func pair(
        _ invitation: PairingInvitation, name: String, deadline: ContinuousClock.Instant, report: @Sendable (String) -> Void
    ) async throws(QiError) -> String {
        let device = invitation.jid
        let name = try acceptable(invitation, name)
        var word: Admitted?
        account.contacts.pairingBegins(with: device)
        defer { account.contacts.pairingEnded(with: device) }
        do throws(QiError) {
            let attempt = PairingAttempt(invitation, name: name, own: account.own, key: account.identity.fingerprint)
            try await run(attempt, until: deadline, &word, report)
            account.logger.notice("paired", metadata: ["xmpp.peer.jid": "\(device)", "qimesh.key": "\(invitation.key)"])
            account.record("pair", "\(device)", "pair", isAllowed: true, "paired with its token, key \(invitation.key)")
            return name
        } catch {
            if error.code != .timedOut { undo(device, word) }
            account.logger.notice("pairing failed", metadata: ["xmpp.peer.jid": "\(device)", "error": "\(error.message)"])
            account.record("pair", "\(device)", "pair", isAllowed: false, error.message)
            throw error
        }
    }

    /// The name to use, if nothing here speaks against the token.
    private func acceptable(_ invitation: PairingInvitation, _ name: String) throws(QiError) -> String {
        let device = invitation.jid
        guard device != account.own else {
            throw QiError(
                .invalid, "this token was made for \(account.own), which is this device", hint: "on the other device: qimesh pair")
        }
        if !name.isEmpty, let refusal = ContactName.refusal(of: name) {
            throw QiError(.invalid, "\"\(name)\" cannot be a name: \(refusal)", hint: "with another name: qimesh pair --name NAME")
        }
        let known = account.contacts.contact(device)?.name
        let wanted = [name, known ?? "", invitation.name, device.node ?? ""].first { ContactName.refusal(of: $0) == nil }
        guard let wanted else {
            throw QiError(.invalid, "nothing in the token can be a name", hint: "with one: qimesh pair --name NAME")
        }
        // Two accounts may each have had a device of one name: it stays as it is.
        if wanted != known, let other = account.contacts.holder(of: wanted, otherThan: device) {
            throw QiError(.conflict, "\(other) is called \"\(wanted)\" here already", hint: "with another name: qimesh pair --name NAME")
        }
        do throws(MeshError) {
            // A revoked device comes back by a token that somebody brought here.
            let verdict = try account.trust.checkToken(jid: "\(device)", key: invitation.key)
            if let refusal = verdict.refusal(jid: "\(device)", key: invitation.key) { throw refusal }
        } catch {
            throw QiError(.denied, error.message, hint: error.hint)
        }
        return wanted
    }

    private func run(
        _ attempt: PairingAttempt, until deadline: ContinuousClock.Instant, _ word: inout Admitted?, _ report: @Sendable (String) -> Void
    ) async throws(QiError) {
        let device = attempt.invitation.jid
        var machine = PairingStateMachine(deadline: deadline)
        var isPrepared = false
        var action = machine.started()
        report("asking \(device)")
        while true {
            guard !Task.isCancelled else { throw QiError(.cancelled, "the pairing with \(device) was given up") }
            switch action {
            case .ask:
                let outcome = await ask(attempt, &isPrepared)
                action = machine.answered(outcome, isMutual: account.client.isMutual(device), now: .now)
                if case .pause = action { report("waiting for \(device): \(machine.trouble)") }
            case .pause(let duration):
                await signOfLife(of: device, within: duration)
                action = machine.paused(now: .now)
            case .pin:
                let pinned = try pin(attempt)
                // What was before the first of them is what was before.
                if word == nil { word = pinned }
                word?.contact = pinned.contact
                report("\(device) has taken the token; its key is pinned")
                action = machine.looked(isMutual: account.client.isMutual(device), now: .now)
            case .awaitContact(let duration):
                report("waiting for the servers to make \(device) a contact")
                await admission.awaitChange(with: device, within: duration)
                action = machine.looked(isMutual: account.client.isMutual(device), now: .now)
            case .subscribe:
                await subscribeAgain(attempt)
                action = machine.subscribed()
            case .finish: return
            case .fail(let failure): throw failure.error(of: "\(device)")
            }
        }
    }

    /// Returns early when the device, or our own connection to the server, gives a sign of life.
    private func signOfLife(of device: JID, within limit: Duration) async {
        let wasOnline = account.client.state.isOnline
        let wasThere = account.peers.tunnelResource(of: device) != nil
        await Race.within(limit) { [self] in
            for await _ in account.peers.observers.changes()
            where account.client.state.isOnline != wasOnline || (account.peers.tunnelResource(of: device) != nil) != wasThere { return }
        }
    }

    // MARK: - Steps

    /// Sends what makes the contact, once, and the request that proves the token.
    private func ask(_ attempt: PairingAttempt, _ isPrepared: inout Bool) async -> PairingStateMachine.Outcome {
        let device = attempt.invitation.jid
        guard let address = attempt.invitation.address else { return .silent("its address is broken") }
        do throws(XMPPError) {
            if !isPrepared {
                try await account.client.setRosterItem(device, name: attempt.name)
                try await account.client.expectSubscription(of: device)
                try await account.client.subscribe(to: device, token: attempt.handle)
                isPrepared = true
            }
            let answer = try await account.client.iq(to: address, .set, attempt.offer.element)
            guard case .accepted(let proof, let isContact)? = PairingAnswer(answer) else { return .forged }
            return attempt.isValid(proof) ? .accepted(isContact: isContact) : .forged
        } catch {
            if case .refused(let refusal)? = PairingAnswer(error.stanzaError) { return .refused(refusal) }
            return .silent(Self.trouble(error, account.own))
        }
    }

    private static func trouble(_ error: XMPPError, _ own: JID) -> String {
        switch error.code {
        case .stanza where error.stanzaError?.condition == "resource-constraint": "it is busy"
        case .stanza where error.stanzaError?.condition.hasPrefix("remote-server") == true: "its server cannot be reached from \(own.domain)"
        case .stanza: "it is offline, or knows nothing of this token any more"
        case .timedOut: "no answer came"
        default: "this device is not connected to \(own.domain)"
        }
    }

    private func pin(_ attempt: PairingAttempt) throws(QiError) -> Admitted {
        do throws(MeshError) {
            return try admission.pair(attempt.invitation.jid, attempt.invitation.key, name: attempt.name)
        } catch {
            throw QiError(.denied, error.message, hint: error.hint)
        }
    }

    private func subscribeAgain(_ attempt: PairingAttempt) async {
        let device = attempt.invitation.jid
        do throws(XMPPError) {
            if !account.client.isSeen(by: device) { try await account.client.approveSubscription(of: device) }
            // Also when we see it: its server may not know that, and then has nothing that could be approved.
            try await account.client.subscribe(to: device, token: attempt.handle)
        } catch {
            account.logger.debug("subscription not sent again", metadata: ["xmpp.peer.jid": "\(device)", "error": "\(error)"])
        }
    }

    /// Leaves no half-made contact behind: what was before is put back, and the server told in the background, for whoever asked for the
    /// pairing may be gone.
    private func undo(_ device: JID, _ word: Admitted?) {
        if let word {
            do throws(QiError) {
                try admission.takeBack(word)
            } catch {
                account.logger.error("half-made contact not removed", metadata: ["xmpp.peer.jid": "\(device)", "error": "\(error)"])
            }
        }
        guard !account.contacts.isContact(device) else { return }
        account.server.loop.spawn { [self] in
            do {
                try await admission.unlist(device)
            } catch {
                account.logger.debug("half-made contact not removed", metadata: ["xmpp.peer.jid": "\(device)", "error": "\(error)"])
            }
        }
    }
}
