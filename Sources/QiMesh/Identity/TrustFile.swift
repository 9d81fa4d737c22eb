import Foundation
import QiWire

/// The JSON form of a ``TrustTable``, version 2: `{"version": 2, "contacts": […], "devices": […], "revoked": […]}` with dates in ISO 8601
/// and fingerprints as text. `devices` holds the keys.
///
/// Version 1 has no contacts: the server's list said who was one. Its pins are taken over, and no contacts are made of them, for the server
/// may have added any of them. It also lists refused keys, which are not kept in the file any more.
enum TrustFile {
    private struct Document: Codable {
        var version: Int
        var contacts: [Entry]?
        var devices: [Device]
        var revoked: [Revocation]?
    }

    private struct Entry: Codable {
        var account: String
        var jid: String
        var name: String?
        var admitted: Contact.Admission
        var since: Date
    }

    private struct Revocation: Codable {
        var jid: String
        var key: String?
        var date: Date
    }

    private struct Device: Codable {
        enum CodingKeys: String, CodingKey { case jid, key, firstSeen = "first-seen", lastSeen = "last-seen" }
        var jid: String
        var key: String
        var firstSeen: Date
        var lastSeen: Date
    }

    static func encode(_ table: TrustTable) throws(MeshError) -> [UInt8] {
        let encoder = JSONEncoder()
        // Readable, and equal tables are equal files: people review and compare it.
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .iso8601
        let document = Document(
            version: 2,
            contacts: table.contacts.sorted.map {
                Entry(account: $0.account, jid: $0.jid, name: $0.name, admitted: $0.admission, since: $0.since)
            },
            devices: table.sortedEntries.map {
                Device(jid: $0.jid, key: $0.key.description, firstSeen: $0.firstSeen, lastSeen: $0.lastSeen)
            },
            revoked: table.revocations.isEmpty
                ? nil
                : table.revocations.sorted { $0.key < $1.key }.map {
                    Revocation(jid: $0.key, key: $0.value.key?.description, date: $0.value.date)
                })
        do {
            return Array(try encoder.encode(document)) + [UInt8(ascii: "\n")]
        } catch {
            throw MeshError(.trust, "cannot write down the pinned keys", cause: error)
        }
    }

    static func decode(_ bytes: [UInt8], path: String) throws(MeshError) -> (table: TrustTable, version: Int) {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        do {
            let document = try decoder.decode(Document.self, from: Data(bytes))
            guard (1...2).contains(document.version) else {
                throw MeshError(
                    .trust, "\(path) has version \(document.version); this program knows versions 1 and 2", hint: "update qimesh")
            }
            guard (document.contacts == nil) == (document.version == 1) else {
                throw MeshError(.trust, "contacts go with version 2, and version 2 with contacts")
            }
            return (try table(of: document), document.version)
        } catch {
            if let error = error as? MeshError, error.code == .trust, error.hint != nil { throw error }
            throw MeshError(
                .trust, "\(path) is damaged, so no peer can be recognised (\(reason(error)))",
                hint: "correct the file, or move it away to begin with no pinned keys", cause: error)
        }
    }

    private static func table(of document: Document) throws(MeshError) -> TrustTable {
        var table = TrustTable()
        for device in document.devices {
            try table.insert(
                TrustEntry(
                    jid: device.jid, key: try fingerprint(device.key), firstSeen: device.firstSeen, lastSeen: device.lastSeen))
        }
        for contact in document.contacts ?? [] {
            try table.contacts.insert(
                Contact(
                    account: contact.account, jid: contact.jid, name: contact.name, admission: contact.admitted, since: contact.since))
        }
        let known = Set(document.devices.map(\.jid) + (document.contacts ?? []).map(\.jid))
        for revocation in document.revoked ?? [] {
            guard !known.contains(revocation.jid) else {
                throw MeshError(.trust, "\(revocation.jid) is revoked, and pinned or a contact too")
            }
            let key: KeyFingerprint? = if let text = revocation.key { try fingerprint(text) } else { nil }
            table.insert(.init(date: revocation.date, key: key), of: revocation.jid)
        }
        return table
    }

    private static func fingerprint(_ text: String) throws(MeshError) -> KeyFingerprint {
        guard let key = KeyFingerprint(text) else { throw MeshError(.trust, "\"\(text.cut(toBytes: 64))\" is not a fingerprint") }
        return key
    }

    private static func reason(_ error: any Error) -> String {
        switch error {
        case let error as MeshError: error.message
        case DecodingError.keyNotFound(let key, let context): "no \"\(key.stringValue)\" at \(place(context))"
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
            "wrong kind of value at \(place(context))"
        case DecodingError.dataCorrupted(let context) where !context.codingPath.isEmpty: "wrong value at \(place(context))"
        default: "not valid JSON"
        }
    }

    private static func place(_ context: DecodingError.Context) -> String {
        context.codingPath.isEmpty ? "the top" : CodingPath.text(context.codingPath)
    }
}
