import Foundation

/// The JSON form of the installed applications, version 1: `{"version": 1, "apps": […]}` with manifests as they were written.
enum AppFile {
    private struct Document: Codable {
        var version: Int
        var apps: [Entry]
    }

    private struct Entry: Codable {
        var manifest: String
        var session: String
        var installed: Date
        var approved: Date?
    }

    static func encode(_ apps: [InstalledApp]) throws(MeshError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .iso8601
        let entries = apps.map {
            Entry(
                manifest: $0.manifest.text, session: Base64URL.encode($0.sessionHash), installed: $0.installed, approved: $0.approved)
        }
        do {
            return Array(try encoder.encode(Document(version: 1, apps: entries))) + [UInt8(ascii: "\n")]
        } catch {
            throw MeshError(.system, "cannot write down the applications", cause: error)
        }
    }

    static func decode(_ bytes: [UInt8], path: String) throws(MeshError) -> [InstalledApp] {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        do {
            let document = try decoder.decode(Document.self, from: Data(bytes))
            guard document.version == 1 else { throw MeshError(.configuration, "version \(document.version) is unknown") }
            return try document.apps.map { entry in
                guard let hash = Base64URL.decode(entry.session, count: 32) else {
                    throw MeshError(.configuration, "a session that is no hash")
                }
                return InstalledApp(
                    manifest: try AppManifest(entry.manifest), sessionHash: hash, installed: entry.installed, approved: entry.approved)
            }
        } catch {
            throw MeshError(
                .configuration, "\(path) is damaged, so no application can be recognised",
                hint: "correct the file; or remove it, and install the applications again", cause: error)
        }
    }
}
