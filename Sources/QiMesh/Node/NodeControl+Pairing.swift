import Foundation
import QiMessaging
import XMPP

/// Who is a device of ours: pairing by token, and ending access.
extension NodeControl {
    /// The longest a pairing waits for a device, and the longest a token lives.
    private static let longestWait = 86_400
    private static let longestLife = 1_800

    // MARK: - Tokens of ours

    func enroll(name: String?, account: String?, seconds: Int?) async -> Answer<MadeToken> {
        await Answer {
            let gateway = try gateway(of: account)
            if let seconds, !(1...Self.longestLife).contains(seconds) {
                throw QiError(.invalid, "a token lives between 1 s and 30 min, not \(seconds) s", hint: "without --valid it lives 10 min")
            }
            if let name { try gateways.requireFree(name, for: nil) }
            let (invitation, enrollment) = try gateway.issuer.enroll(
                name: name ?? "", lifetime: seconds.map { .seconds($0) }, ownName: configuration.device.name ?? "")
            record("enroll", of: "owner", "enroll", enrollment.id)
            return MadeToken(
                token: invitation.text, id: enrollment.id, jid: "\(gateway.own)", fingerprint: "\(invitation.key)",
                expires: enrollment.expires.timeIntervalSince1970, online: gateway.client.state.isOnline)
        }
    }

    func cancelEnrollment(_ id: String?) async -> Answer<CancelledTokens> {
        await Answer {
            let count = try tokens.cancel(id: id)
            if let id, count == 0 { throw QiError(.notFound, "no token \(id) waits to be used", hint: "qimesh enroll --list") }
            return CancelledTokens(cancelled: count)
        }
    }

    func enrollments() async -> Answer<EnrollmentListing> {
        await Answer {
            let (enrollments, strangers, now) = tokens.listing()
            return EnrollmentListing(
                enrollments: enrollments.map { EnrollmentRow($0, now) }, strangers: strangers.map(RefusedAttempt.init))
        }
    }

    var pairingStatus: PairingStatus {
        let (enrollments, strangers, now) = tokens.listing()
        let attempts = (enrollments.flatMap(\.attempts) + strangers).sorted { $0.date < $1.date }
        return PairingStatus(
            outstanding: enrollments.count { $0.isOutstanding(at: now) }, refused: attempts.suffix(8).map(RefusedAttempt.init))
    }

    // MARK: - Tokens of others

    func pair(_ token: String, name: String?, account: String?, seconds: Int, ticket: String) async -> Answer<PairedDevice> {
        await Answer {
            let invitation = try PairingInvitation(parsing: token)
            let gateway = try gateway(of: account)
            guard (1...Self.longestWait).contains(seconds) else {
                throw QiError(.invalid, "a pairing waits between 1 s and 24 h, not \(seconds) s")
            }
            if let name { try gateways.requireFree(name, for: invitation.jid) }
            let called = try await gateway.pairing.pair(invitation, name: name ?? "", deadline: .now + .seconds(seconds)) { [pairing] step in
                pairing.emit(ticket, step)
            }
            return PairedDevice(jid: "\(invitation.jid)", name: called, fingerprint: "\(invitation.key)", own: "\(gateway.own)")
        }
    }

    // MARK: - Ending access

    func revoke(_ text: String) async -> Answer<RevokedDevice> {
        await Answer {
            let jid = try gateways.address(of: text)
            let name = "\(jid)"
            let key = try trust.entry(jid: name)?.key
            // First what needs no server: from now on no key of the device is taken, then what runs ends.
            try trust.revoke(jid: name)
            server.dropDevice(name, QiError(.denied, "\(name) was revoked"))
            try tokens.revoked(jid: name)
            var notes: [String] = []
            for gateway in gateways where gateway.admission.knows(jid) || !gateway.client.state.isOnline {
                do throws(XMPPError) {
                    try await gateway.admission.unlist(jid)
                } catch {
                    notes.append("\(gateway.own) is not online: \(name) leaves its contact list when it is")
                }
            }
            record("revoke", of: name, zone: .internet, "revoke", key.map { "\($0)" } ?? "no key")
            return RevokedDevice(
                jid: name, fingerprint: key.map { "\($0)" }, note: notes.isEmpty ? nil : notes.joined(separator: "; "))
        }
    }

    // MARK: - Accounts

    /// The account of that address, or with no address the first that is online.
    private func gateway(of account: String?) throws(QiError) -> XMPPGateway {
        guard let account else {
            if let gateway = gateways.first(where: { $0.client.state.isOnline }) ?? gateways.first { return gateway }
            throw QiError(.notFound, "this node has no account", hint: "add one below xmpp: in qimesh.yaml, then send the node SIGHUP")
        }
        if let gateway = gateways.first(where: { $0.own == JID(account)?.bare }) { return gateway }
        let known = gateways.map { "\($0.own)" }.joined(separator: ", ")
        throw QiError(.notFound, "this node has no account \(account)", hint: "it has: \(known)")
    }
}

extension EnrollmentRow {
    fileprivate init(_ enrollment: Enrollment, _ now: Date) {
        var use: EnrollmentUse?
        if case .used(let jid, let key, let date) = enrollment.state {
            use = EnrollmentUse(usedBy: jid, usedKey: "\(key)", usedAt: date.timeIntervalSince1970)
        }
        self.init(
            id: enrollment.id, account: enrollment.account, name: enrollment.name.nilIfEmpty, state: enrollment.word(at: now),
            created: enrollment.created.timeIntervalSince1970, expires: enrollment.expires.timeIntervalSince1970,
            refused: enrollment.attempts.map(RefusedAttempt.init), use: use)
    }
}

extension RefusedAttempt {
    fileprivate init(_ attempt: Enrollment.Attempt) {
        self.init(
            jid: attempt.jid, fingerprint: "\(attempt.key)", reason: attempt.reason.rawValue, told: attempt.reason.told,
            knewToken: attempt.knewToken, at: attempt.date.timeIntervalSince1970)
    }
}
