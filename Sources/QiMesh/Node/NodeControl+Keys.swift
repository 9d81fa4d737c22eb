import Foundation
import QiMessaging

/// Keys: this device's own, and those of its contacts.
extension NodeControl {
    private var jids: [String] { gateways.map { "\($0.own)" } }

    func identity() async -> Answer<OwnIdentity> {
        await Answer {
            OwnIdentity(name: configuration.deviceName, fingerprint: "\(own.fingerprint)", deviceID: own.value.deviceID, jids: jids)
        }
    }

    func rotateKey() async -> Answer<RotatedKey> {
        await Answer {
            let keys = try own.rotate()
            // They name the old key.
            let cancelled = try tokens.cancel(id: nil)
            let links = try await server.deviceLinks()
            let ending = QiError(.disconnected, "this device has a new key")
            for device in Set(links.outgoing.map(\.device) + links.incoming.map(\.device)) { server.dropDevice(device, ending) }
            record("rotate-key", of: "owner", "rotate", "\(keys.new)", detail: "instead of \(keys.old)")
            return RotatedKey(
                old: "\(keys.old)", fingerprint: "\(keys.new)", contacts: try trust.entries().map(\.jid), cancelledTokens: cancelled,
                jids: jids)
        }
    }

    func trusted() async -> Answer<[ContactKey]> { await Answer { try trust.entries().map { try key(of: $0.jid) } } }

    func trust(_ contact: String) async -> Answer<ContactKey> { await Answer { try key(of: try address(of: contact)) } }

    func acceptKey(of contact: String, _ fingerprint: String) async -> Answer<AcceptedKey> {
        await Answer {
            let jid = try address(of: contact)
            guard let key = KeyFingerprint(fingerprint) else {
                throw QiError(.invalid, "that is not a fingerprint", hint: "qimesh identity; it looks like SHA256:…")
            }
            try trust.replace(jid: jid, key: key)
            server.dropDevice(jid, QiError(.disconnected, "the key of \(jid) was changed"))
            record("trust", of: jid, "accept", "\(key)")
            return AcceptedKey(jid: jid, fingerprint: "\(key)")
        }
    }

    func forgetKey(of contact: String) async -> Answer<ForgottenKey> {
        await Answer {
            let jid = try address(of: contact)
            let wasKnown = try trust.remove(jid: jid)
            server.dropDevice(jid, QiError(.disconnected, "the key of \(jid) was forgotten"))
            if wasKnown { record("trust", of: jid, "forget", jid) }
            return ForgottenKey(jid: jid, known: wasKnown)
        }
    }

    private func key(of jid: String) throws -> ContactKey {
        let entry = try trust.entry(jid: jid)
        return ContactKey(
            jid: jid, pinned: entry.map { "\($0.key)" }, refused: try trust.refused(jid: jid).map { "\($0.key)" },
            revoked: try trust.isRevoked(jid: jid), firstSeen: entry?.firstSeen.timeIntervalSince1970,
            lastSeen: entry?.lastSeen.timeIntervalSince1970)
    }

    /// A JID, or the name of a contact.
    private func address(of text: String) throws -> String { "\(try gateways.address(of: text))" }
}
