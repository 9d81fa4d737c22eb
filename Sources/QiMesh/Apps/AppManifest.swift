import Foundation
import QiMessaging
import Yams

/// What a remote application says of itself and wants to do, as its developer wrote it:
///
///     name: choregraphe
///     description: Builds behaviours on a desk
///     permissions:
///       - allow: ["ALTextToSpeech.*", "ALMemory.subscriber"]
///         limit: { calls: 20/s }
///
/// Each entry of `permissions` is a rule of a policy file without `who`, which is the application itself. The command reads the text; a
/// node gets and keeps the flat form, ``permissions``.
public struct AppManifest: Hashable, Sendable {
    /// What it is called: its user name when it connects, and `app:NAME` in a policy. 1 to 64 letters, digits and `._-`.
    public let name: String
    /// For the owner, at most 512 bytes.
    public let description: String
    /// What it may do once it is approved, and nothing else; all name it alone.
    let rules: [PermissionRule]

    /// Larger ones are refused; a real one has 500 bytes.
    static let sizeLimit = 65_536
    static let descriptionLimit = 512
    static let ruleLimit = 64

    init(name: String, description: String, rules: [PermissionRule]) {
        self.name = name
        self.description = description
        self.rules = rules
    }

    /// Reads a manifest's file.
    ///
    /// - Throws: `notFound` when there is none; `configuration` for one that is too large, and for every mistake in it, as
    ///   `FILE:LINE: what is wrong`.
    public static func load(_ path: String) throws(MeshError) -> AppManifest {
        guard let bytes = try PrivateFile.readPublic(path, limit: sizeLimit, code: .configuration) else {
            throw MeshError(.notFound, "there is no file \(path)")
        }
        return try AppManifest(try PlainText.decode(bytes, path), path: path)
    }

    /// Reads a manifest.
    ///
    /// - Parameter path: for messages.
    /// - Throws: `configuration`, as above.
    init(_ text: String, path: String = "the manifest") throws(MeshError) {
        guard let yaml = try YAMLDocument.parse(text, path: path, limit: Self.sizeLimit, bounds: .init(depth: 16, values: 16_384)) else {
            throw MeshError(.configuration, "\(path) is empty")
        }
        let document = try yaml.decode(Document.self, from: try Self.naming(yaml.root, path))
        self.init(
            name: document.name, description: document.description,
            rules: document.permissions.map { written in
                var rule = PermissionRule(who: [.app(NameGlob(document.name))])
                rule.deny = written.deny
                rule.allow = written.allow
                rule.only = written.only
                rule.limits = written.limits
                rule.isExclusive = written.isExclusive
                rule.expires = written.expires
                return rule
            })
    }

    /// The document with its permissions as a policy file would have them: a manifest speaks of its application alone.
    private static func naming(_ root: Node, _ path: String) throws(MeshError) -> Node {
        guard var document = root.mapping, var permissions = document["permissions"]?.sequence else { return root }
        for index in permissions.indices {
            guard var permission = permissions[index].mapping else { continue }
            if let given = permission.first(where: { $0.key.string == "who" }) {
                throw MeshError(
                    .configuration, "\(path):\(given.key.mark?.line ?? 0): permissions are the application's own; they name nobody")
            }
            permission["who"] = Node("app:" + (document["name"]?.string ?? ""))
            permissions[index] = .mapping(permission)
        }
        document["permissions"] = .sequence(permissions)
        return .mapping(document)
    }

    static func isValid(name: String) -> Bool {
        (1...64).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                    UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }

    private struct Document: Decodable {
        enum CodingKeys: String, CodingKey, CaseIterable { case name, description, permissions }

        var name: String
        var description: String
        var permissions: [PolicyDocument.Rule]

        init(from decoder: any Decoder) throws {
            let container = try decoder.strictContainer(CodingKeys.self, advice: ["rules": "what it wants is listed as permissions"])
            guard let name = try container.text(.name, limit: 64) else { throw container.wrong(nil, "an application needs a name: name: NAME") }
            guard AppManifest.isValid(name: name) else {
                throw container.wrong(.name, "\"\(name)\" is not made of letters, digits and . _ - alone")
            }
            self.name = name
            description = try container.text(.description, limit: AppManifest.descriptionLimit) ?? ""
            permissions = try container.decodeIfPresent([PolicyDocument.Rule].self, forKey: .permissions) ?? []
            guard (1...AppManifest.ruleLimit).contains(permissions.count) else {
                throw container.wrong(.permissions, "a manifest has 1 to \(AppManifest.ruleLimit) permissions")
            }
        }
    }
}
