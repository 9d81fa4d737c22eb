import Foundation

/// The JSON form of a ``TrustTable``, version 1: `{"version": 1, "devices": […], "refused": […], "revoked": […]}` with dates in
/// ISO 8601 and fingerprints as text. A file without `revoked` is as good.
enum TrustFile {
    private struct Document: Codable {
        var version: Int
        var devices: [Device]
        var refused: [Refusal]
        var revoked: [Revocation]?
    }

    private struct Revocation: Codable {
        var jid: String
        var date: Date
    }

    private struct Device: Codable {
        enum CodingKeys: String, CodingKey { case jid, key, firstSeen = "first-seen", lastSeen = "last-seen" }
        var jid: String
        var key: String
        var firstSeen: Date
        var lastSeen: Date
    }

    private struct Refusal: Codable {
        var jid: String
        var key: String
        var seen: Date
    }

    static func encode(_ table: TrustTable) throws(MeshError) -> [UInt8] {
        let encoder = JSONEncoder()
        // Readable, and equal tables are equal files: people review and compare it.
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .iso8601
        let document = Document(
            version: 1,
            devices: table.sortedEntries.map {
                Device(jid: $0.jid, key: $0.key.description, firstSeen: $0.firstSeen, lastSeen: $0.lastSeen)
            },
            refused: table.sortedRefusals.map { Refusal(jid: $0.jid, key: $0.key.description, seen: $0.date) },
            revoked: table.revocations.isEmpty
                ? nil : table.revocations.sorted { $0.key < $1.key }.map { Revocation(jid: $0.key, date: $0.value) })
        do {
            return Array(try encoder.encode(document)) + [UInt8(ascii: "\n")]
        } catch {
            throw MeshError(.trust, "cannot write down the pinned keys", cause: error)
        }
    }

    static func decode(_ bytes: [UInt8], path: String) throws(MeshError) -> TrustTable {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        do {
            let document = try decoder.decode(Document.self, from: Data(bytes))
            guard document.version == 1 else {
                throw MeshError(
                    .trust, "\(path) has version \(document.version); this program knows version 1", hint: "update qimesh")
            }
            var table = TrustTable()
            for device in document.devices {
                try table.insert(
                    TrustEntry(
                        jid: device.jid, key: try fingerprint(device.key), firstSeen: device.firstSeen, lastSeen: device.lastSeen)
                )
            }
            for refusal in document.refused {
                table.noteRefused(jid: refusal.jid, key: try fingerprint(refusal.key), at: refusal.seen)
            }
            for revocation in document.revoked ?? [] {
                guard table.entry(jid: revocation.jid) == nil else {
                    throw MeshError(.trust, "\(revocation.jid) is both pinned and revoked")
                }
                _ = table.revoke(jid: revocation.jid, at: revocation.date)
            }
            return table
        } catch {
            if let error = error as? MeshError, error.hint != nil { throw error }
            throw MeshError(
                .trust, "\(path) is damaged, so no peer can be recognised (\(reason(error)))",
                hint: "correct the file, or move it away to begin with no pinned keys", cause: error)
        }
    }

    private static func fingerprint(_ text: String) throws(MeshError) -> KeyFingerprint {
        guard let key = KeyFingerprint(text) else { throw MeshError(.trust, "\"\(text.prefix(64))\" is not a fingerprint") }
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
