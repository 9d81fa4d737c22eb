import Foundation
import QiMessaging

/// The part of the control interface about keys: this device's own, and those of its contacts.
final class KeyControl: Sendable {
    private let configuration: CurrentConfiguration
    private let server: DirectoryServer
    private let accounts: AccountSet
    private var gateways: [XMPPGateway] { accounts.gateways }
    private let own: CurrentIdentity
    private let trust: TrustStore
    private let enrollments: EnrollmentStore

    init(
        configuration: CurrentConfiguration, server: DirectoryServer, accounts: AccountSet, identity: CurrentIdentity, trust: TrustStore,
        enrollments: EnrollmentStore
    ) {
        self.configuration = configuration
        self.server = server
        self.accounts = accounts
        own = identity
        self.trust = trust
        self.enrollments = enrollments
    }

    private var jids: [String] { gateways.map { "\($0.own)" } }

    // MARK: - The own key

    var identity: OwnIdentity {
        OwnIdentity(name: configuration.value.deviceName, fingerprint: "\(own.fingerprint)", deviceID: own.value.deviceID, jids: jids)
    }

    func rotate() async throws -> RotatedKey {
        let keys = try own.rotate()
        // They name the old key.
        let cancelled = try enrollments.cancel(id: nil)
        let links = try await server.deviceLinks()
        let ending = QiError(.disconnected, "this device has a new key")
        for device in Set(links.outgoing.map(\.device) + links.incoming.map(\.device)) { server.dropDevice(device, ending) }
        server.access?.record(
            AuditRecord(
                event: "rotate-key", principal: "owner", zone: .internal, target: "\(keys.new)", access: "rotate", isAllowed: true,
                path: "control interface", detail: "instead of \(keys.old)"))
        return RotatedKey(
            old: "\(keys.old)", fingerprint: "\(keys.new)", contacts: try trust.entries().map(\.jid), cancelledTokens: cancelled,
            jids: jids)
    }

    // MARK: - Keys of contacts

    func all() throws -> [ContactKey] { try trust.entries().map { try entry($0.jid) } }

    func key(of contact: String) throws -> ContactKey { try entry(try address(of: contact)) }

    func accept(_ fingerprint: String, of contact: String) throws -> AcceptedKey {
        let jid = try address(of: contact)
        guard let key = KeyFingerprint(fingerprint) else {
            throw QiError(.invalid, "that is not a fingerprint", hint: "qimesh identity; it looks like SHA256:…")
        }
        try trust.replace(jid: jid, key: key)
        server.dropDevice(jid, QiError(.disconnected, "the key of \(jid) was changed"))
        record(jid, "accept", "\(key)")
        return AcceptedKey(jid: jid, fingerprint: "\(key)")
    }

    func forget(_ contact: String) throws -> ForgottenKey {
        let jid = try address(of: contact)
        let wasKnown = try trust.remove(jid: jid)
        server.dropDevice(jid, QiError(.disconnected, "the key of \(jid) was forgotten"))
        if wasKnown { record(jid, "forget", jid) }
        return ForgottenKey(jid: jid, known: wasKnown)
    }

    private func entry(_ jid: String) throws -> ContactKey {
        let entry = try trust.entry(jid: jid)
        return ContactKey(
            jid: jid, pinned: entry.map { "\($0.key)" }, refused: try trust.refused(jid: jid).map { "\($0.key)" },
            revoked: try trust.isRevoked(jid: jid), firstSeen: entry?.firstSeen.timeIntervalSince1970,
            lastSeen: entry?.lastSeen.timeIntervalSince1970)
    }

    /// A JID, or the name of a contact.
    private func address(of text: String) throws -> String { "\(try gateways.address(of: text))" }

    /// The owner's word about a key is written down.
    private func record(_ jid: String, _ access: String, _ target: String) {
        server.access?.record(
            AuditRecord(
                event: "trust", principal: jid, zone: .internal, target: target, access: access, isAllowed: true,
                path: "control interface"))
    }
}
