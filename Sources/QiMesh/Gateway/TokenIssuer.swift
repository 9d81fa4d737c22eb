import Logging
import QiMessaging
import XMPP

/// The side that made a token: answers the request that proves it (reference xmpp §6.3).
final class TokenIssuer: Sendable {
    private let account: GatewayAccount
    private let admission: ContactAdmission
    /// What the account is to be bound as, for tokens that are made while it is not.
    private let resource: String

    init(_ account: GatewayAccount, _ admission: ContactAdmission, resource: String) {
        self.account = account
        self.admission = admission
        self.resource = resource
    }

    /// Listens if a token is outstanding, from an earlier run as a rule.
    func begin() {
        if account.enrollments?.isListening(account: "\(account.own)") == true { listen() }
    }

    /// Makes a token for this account, and listens for it.
    ///
    /// - Parameters:
    ///   - name: what the device that uses it shall be called here; empty for the part of its address before the `@`.
    ///   - lifetime: nil for ten minutes.
    ///   - ownName: what this device is called.
    /// - Throws: `tooLarge` when too many tokens are outstanding, `unsupported` in a program without a node.
    func enroll(
        name: String, lifetime: Duration?, ownName: String
    ) throws(MeshError) -> (invitation: PairingInvitation, enrollment: Enrollment) {
        guard let enrollments = account.enrollments else { throw MeshError(.unsupported, "tokens are made by a node", hint: "qimesh up") }
        let key = account.identity.fingerprint
        let (token, enrollment) = try enrollments.enroll(account: "\(account.own)", name: name, lifetime: lifetime)
        listen()
        let resource = account.client.boundJID?.resource ?? resource
        account.logger.info("pairing token made", metadata: ["qimesh.token": "\(enrollment.id)"])
        return (PairingInvitation(jid: account.own, token: token, key: key, resource: resource, name: ownName), enrollment)
    }

    /// Opens the one request that needs no contact. Without a token that somebody may hold it is answered as everything else of
    /// strangers is.
    private func listen() {
        account.client.handleIQFromAnybody(namespace: MeshNamespaces.pairing, name: PairingOffer.name) { [weak self] request in
            await self?.answerPairing(request)
        }
    }

    private func answerPairing(_ request: IQRequest) async -> Result<Element?, StanzaError>? {
        guard let enrollments = account.enrollments, request.from.node != nil, !request.from.isBare,
            let offer = PairingOffer(request.payload)
        else { return nil }
        let device = request.from.bare
        let party = PairingTranscript.Party(jid: "\(account.own)", key: account.identity.fingerprint)
        do throws(MeshError) {
            switch try enrollments.judge(offer, from: "\(device)", to: party) {
            case .ignore: return nil
            case .refuse(let reason): return refused(device, offer.key, reason)
            case .accept(let enrollment):
                if let reason = try take(offer, device, enrollment, enrollments) { return refused(device, offer.key, reason) }
                return await welcome(device, offer, enrollment, party, isFirst: true)
            case .acceptAgain(let enrollment): return await welcome(device, offer, enrollment, party, isFirst: false)
            }
        } catch {
            account.logger.error("a pairing could not be judged", metadata: ["xmpp.peer.jid": "\(device)", "error": "\(error)"])
            return .failure(.resourceConstraint)
        }
    }

    /// Uses the token up and pins the key. Returns why that cannot be.
    private func take(
        _ offer: PairingOffer, _ device: JID, _ enrollment: Enrollment, _ enrollments: EnrollmentStore
    ) throws(MeshError) -> PairingRefusal? {
        let jid = "\(device)"
        switch try account.trust.checkToken(jid: jid, key: offer.key) {
        case .new, .pinned: break
        case .changed, .keyBelongsTo, .keyRevoked, .revoked:
            // The token stays good: its owner may settle this and let the device try again.
            try enrollments.note(.keyConflict, jid: jid, key: offer.key, of: enrollment.id)
            return .keyConflict
        }
        guard try enrollments.use(enrollment.id, by: jid, key: offer.key) else { return .used }
        return nil
    }

    /// Pins the key and makes the device a contact; then proves that we made the token. The device asks again until it is a contact:
    /// what a server dropped is sent again then.
    private func welcome(
        _ device: JID, _ offer: PairingOffer, _ enrollment: Enrollment, _ party: PairingTranscript.Party, isFirst: Bool
    ) async -> Result<Element?, StanzaError> {
        do {
            // A token is its owner's word: what was revoked before may come back.
            try admission.pair(device, offer.key, name: freeName(enrollment.name, for: device))
            if isFirst { paired(device, offer.key, enrollment) }
            if account.client.roster().first(where: { $0.jid == device })?.name == nil {
                try await account.client.setRosterItem(device, name: account.contacts.contact(device)?.name)
            }
            try await admission.befriend(device)
            // Most servers have made the contact when this ends, and the device need not ask again.
            if !account.client.isMutual(device) { await admission.awaitChange(with: device, within: .seconds(2)) }
        } catch {
            let words = TunnelEndHandler.words(of: error) ?? "\(error)"
            account.logger.warning("a pairing is not complete yet", metadata: ["xmpp.peer.jid": "\(device)", "error": "\(words)"])
            return .failure(.resourceConstraint)
        }
        let transcript = PairingTranscript(enrolling: party, pairing: .init(jid: "\(device)", key: offer.key))
        let proof = PairingProof.answer(enrollment.verifier, transcript)
        return PairingAnswer.accepted(proof: proof, isContact: account.client.isMutual(device)).result
    }

    private func paired(_ device: JID, _ key: KeyFingerprint, _ enrollment: Enrollment) {
        account.logger.notice(
            "paired", metadata: ["xmpp.peer.jid": "\(device)", "qimesh.token": "\(enrollment.id)", "qimesh.key": "\(key)"])
        account.record("pair", "\(device)", "pair", isAllowed: true, "paired, key \(key)", target: enrollment.id)
    }

    private func refused(_ device: JID, _ key: KeyFingerprint, _ reason: PairingRefusal) -> Result<Element?, StanzaError> {
        account.logger.notice(
            "pairing refused", metadata: ["xmpp.peer.jid": "\(device)", "qimesh.key": "\(key)", "reason": "\(reason.rawValue)"])
        account.record(
            "pair", "\(device)", "pair", isAllowed: false, "tried to pair \(reason.told), key \(key)", target: "pairing token",
            place: device.domain)
        return PairingAnswer.refused(reason).result
    }

    /// The name that a token gives, unless another device has it by now: the contact is then called by its address.
    private func freeName(_ wanted: String, for device: JID) -> String? {
        let isTaken = account.contacts.holder(of: wanted, otherThan: device) != nil
        return wanted.isEmpty || isTaken || ContactName.refusal(of: wanted) != nil ? nil : wanted
    }
}
