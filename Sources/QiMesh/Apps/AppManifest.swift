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
/// Each entry of `permissions` is a rule of a policy file without `who`, which is the application itself.
struct AppManifest: Hashable, Sendable {
    /// What it is called: its user name when it connects, and `app:NAME` in a policy. 1 to 64 letters, digits and `._-`.
    let name: String
    /// For the owner, at most 512 bytes.
    let description: String
    /// What it may do once it is approved, and nothing else; all name it alone.
    let rules: [PermissionRule]
    /// As it was written.
    let text: String

    /// Larger ones are refused; a real one has 500 bytes.
    static let sizeLimit = 65_536
    private static let ruleLimit = 64

    /// Reads a manifest.
    ///
    /// - Parameter path: for messages.
    /// - Throws: `configuration` for every mistake in it, as `FILE:LINE: what is wrong`.
    init(_ text: String, path: String = "the manifest") throws(MeshError) {
        guard text.utf8.count <= Self.sizeLimit else {
            throw MeshError(.configuration, "\(path) is larger than \(Self.sizeLimit) bytes")
        }
        let root: Node?
        do {
            root = try Parser(yaml: text, resolver: .basic).singleRoot()
        } catch {
            throw ConfigurationPlace.syntaxError(error, path: path)
        }
        guard let root, root.null == nil else { throw MeshError(.configuration, "\(path) is empty") }
        do {
            let document = try YAMLDecoder().decode(Document.self, from: try Self.naming(root, path))
            name = document.name
            description = document.description
            rules = document.permissions.map { written in
                var rule = PermissionRule(who: [.app(NameGlob(document.name))])
                rule.deny = written.deny
                rule.allow = written.allow
                rule.only = written.only
                rule.limits = written.limits
                rule.isExclusive = written.isExclusive
                rule.expires = written.expires
                return rule
            }
            self.text = text
        } catch let error as MeshError {
            throw error
        } catch {
            throw ConfigurationPlace.error(error, in: root, path: path)
        }
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
            description = try container.text(.description, limit: 512) ?? ""
            permissions = try container.decodeIfPresent([PolicyDocument.Rule].self, forKey: .permissions) ?? []
            guard (1...AppManifest.ruleLimit).contains(permissions.count) else {
                throw container.wrong(.permissions, "a manifest has 1 to \(AppManifest.ruleLimit) permissions")
            }
        }
    }
}
