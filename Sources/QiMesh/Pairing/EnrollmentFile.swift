import Foundation

/// The JSON form of the tokens that were made here, version 1: `{"version": 1, "enrollments": […]}` with dates in ISO 8601.
/// Attempts without the token's secret are not written: anyone can make them.
enum EnrollmentFile {
    private struct Document: Codable {
        var version: Int
        var enrollments: [Entry]
    }

    private struct Entry: Codable {
        var id: String
        var account: String
        var name: String
        var handle: String
        var pairingHash: String
        var enrollingKey: String
        var created: Date
        var expires: Date
        var used: Use?
        var cancelled: Date?
        var attempts: [Attempt]
    }

    private struct Use: Codable {
        var jid: String
        var key: String
        var date: Date
    }

    private struct Attempt: Codable {
        var jid: String
        var key: String
        var reason: PairingRefusal
        var knewToken: Bool
        var date: Date
    }

    static func encode(_ enrollments: [Enrollment]) throws(MeshError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .iso8601
        do {
            return Array(try encoder.encode(Document(version: 1, enrollments: enrollments.map(entry)))) + [UInt8(ascii: "\n")]
        } catch {
            throw MeshError(.system, "cannot write down the pairing tokens", cause: error)
        }
    }

    static func decode(_ bytes: [UInt8], path: String) throws(MeshError) -> [Enrollment] {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        do {
            let document = try decoder.decode(Document.self, from: Data(bytes))
            guard document.version == 1 else { throw MeshError(.configuration, "version \(document.version) is unknown") }
            return try document.enrollments.map(enrollment)
        } catch {
            throw MeshError(
                .configuration, "\(path) is damaged", hint: "remove it: outstanding pairing tokens are lost with it, and nothing else",
                cause: error)
        }
    }

    private static func entry(_ enrollment: Enrollment) -> Entry {
        var entry = Entry(
            id: enrollment.id, account: enrollment.account, name: enrollment.name,
            handle: Base64URL.encode(enrollment.verifier.handle), pairingHash: Base64URL.encode(enrollment.verifier.pairingHash),
            enrollingKey: Base64URL.encode(enrollment.verifier.enrollingKey), created: enrollment.created,
            expires: enrollment.expires,
            attempts: enrollment.attempts.filter(\.knewToken).map {
                Attempt(jid: $0.jid, key: "\($0.key)", reason: $0.reason, knewToken: $0.knewToken, date: $0.date)
            })
        switch enrollment.state {
        case .outstanding: break
        case .used(let jid, let key, let date): entry.used = Use(jid: jid, key: "\(key)", date: date)
        case .cancelled(let date): entry.cancelled = date
        }
        return entry
    }

    private static func enrollment(_ entry: Entry) throws(MeshError) -> Enrollment {
        let verifier = PairingVerifier(
            handle: try bytes(entry.handle, PairingToken.length), pairingHash: try bytes(entry.pairingHash, 32),
            enrollingKey: try bytes(entry.enrollingKey, 32))
        var enrollment = Enrollment(
            id: entry.id, account: entry.account, name: entry.name, verifier: verifier, created: entry.created, expires: entry.expires)
        if let use = entry.used { enrollment.state = .used(jid: use.jid, key: try key(use.key), date: use.date) }
        if let date = entry.cancelled { enrollment.state = .cancelled(date: date) }
        for attempt in entry.attempts {
            enrollment.note(
                .init(
                    jid: attempt.jid, key: try key(attempt.key), reason: attempt.reason, knewToken: attempt.knewToken,
                    date: attempt.date))
        }
        return enrollment
    }

    private static func bytes(_ text: String, _ count: Int) throws(MeshError) -> [UInt8] {
        guard let bytes = Base64URL.decode(text, count: count) else { throw MeshError(.configuration, "a value of wrong length") }
        return bytes
    }

    private static func key(_ text: String) throws(MeshError) -> KeyFingerprint {
        guard let key = KeyFingerprint(text) else { throw MeshError(.configuration, "a fingerprint that is none") }
        return key
    }
}
