import Foundation

/// The JSON form of the installed applications, version 2: `{"version": 2, "apps": […]}` with what they may do in the flat form,
/// ``AppManifest/permissions``. Version 1 had manifests as they were written; it is read, and written as version 2.
enum AppFile {
    private struct Document: Codable {
        var version: Int
        var apps: [Entry]
    }

    private struct Entry: Codable {
        var manifest: String?
        var name: String?
        var description: String?
        var permissions: [[String]]?
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
                name: $0.name, description: $0.manifest.description, permissions: $0.manifest.permissions,
                session: Base64URL.encode($0.sessionHash), installed: $0.installed, approved: $0.approved)
        }
        do {
            return Array(try encoder.encode(Document(version: 2, apps: entries))) + [UInt8(ascii: "\n")]
        } catch {
            throw MeshError(.system, "cannot write down the applications", cause: error)
        }
    }

    private static func manifest(_ entry: Entry) throws(MeshError) -> AppManifest {
        if let text = entry.manifest { return try AppManifest(text) }
        return try AppManifest(name: entry.name ?? "", description: entry.description ?? "", permissions: entry.permissions ?? [])
    }

    static func decode(_ bytes: [UInt8], path: String) throws(MeshError) -> [InstalledApp] {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        do {
            let document = try decoder.decode(Document.self, from: Data(bytes))
            guard (1...2).contains(document.version) else { throw MeshError(.configuration, "version \(document.version) is unknown") }
            return try document.apps.map { entry in
                guard let hash = Base64URL.decode(entry.session, count: 32) else {
                    throw MeshError(.configuration, "a session that is no hash")
                }
                return InstalledApp(
                    manifest: try manifest(entry), sessionHash: hash, installed: entry.installed, approved: entry.approved)
            }
        } catch {
            throw MeshError(
                .configuration, "\(path) is damaged, so no application can be recognised",
                hint: "correct the file; or remove it, and install the applications again", cause: error)
        }
    }
}
