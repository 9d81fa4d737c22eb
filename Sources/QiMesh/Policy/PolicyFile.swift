import Foundation
public import QiMessaging
import Yams

/// A policy file that was read: the policy, and what is to be audited.
public struct PolicyFile: Sendable {
    public let path: String
    public let policy: PermissionPolicy
    let audit: AuditSettings
    /// How many groups it defines.
    public let groupCount: Int

    /// Larger files are refused; a real one has 3 kB.
    private static let sizeLimit = 1 << 20

    /// Reads a policy file.
    ///
    /// - Throws: `configuration` when it is missing, larger than 1 MiB or can be changed by other users; and for every mistake in it, as
    ///   `FILE:LINE: what is wrong`, with the nearest known key for one that is unknown.
    public static func load(_ path: String) throws(MeshError) -> PolicyFile {
        guard let bytes = try PrivateFile.read(path, limit: sizeLimit, refusing: .writable, code: .configuration) else {
            throw MeshError(.configuration, "there is no policy file \(path)")
        }
        let text = try PlainText.decode(bytes, path)
        return try parse(text, path: path)
    }

    /// Reads a document; `path` is for messages, and its last part for places.
    static func parse(_ text: String, path: String) throws(MeshError) -> PolicyFile {
        // Nothing but comments: nothing is allowed to a caller from outside.
        guard let yaml = try YAMLDocument.parse(text, path: path, limit: sizeLimit) else {
            return PolicyFile(path: path, policy: PermissionPolicy(file: name(of: path)), audit: AuditSettings(), groupCount: 0)
        }
        let document = try yaml.decode(PolicyDocument.self)
        do {
            return PolicyFile(
                path: path, policy: try policy(document, yaml.root, path), audit: document.audit, groupCount: document.groups.count)
        } catch {
            throw yaml.complaint(about: error)
        }
    }

    private static func name(of path: String) -> String { (path as NSString).lastPathComponent }

    private static func policy(_ document: PolicyDocument, _ root: Node, _ path: String) throws -> PermissionPolicy {
        let nodes = root.mapping?["rules"]?.sequence
        var policy = PermissionPolicy(file: name(of: path))
        policy.auditsAllCalls = document.audit.isForAllCalls
        for (index, written) in document.rules.enumerated() {
            let node = nodes.flatMap { $0.indices.contains(index) ? $0[index] : nil }
            var rule = PermissionRule(who: try subjects(written, index, document.groups), line: node?.mark?.line)
            rule.deny = placed(written.deny, "deny", node)
            rule.allow = placed(written.allow, "allow", node)
            for (access, patterns) in written.only { rule.only[access] = placed(patterns, access.rawValue, node) }
            rule.limits = written.limits
            rule.isExclusive = written.isExclusive
            rule.expires = written.expires
            policy.rules.append(rule)
        }
        return policy
    }

    private static func subjects(_ rule: PolicyDocument.Rule, _ index: Int, _ groups: [String: [Subject]]) throws -> [Subject] {
        try rule.who.enumerated().map { position, text in
            do throws(ConfigurationMistake) {
                return try SubjectText.subject(text, groups: groups)
            } catch {
                var path: [any CodingKey] = [
                    PolicyDocument.CodingKeys.rules, AnyCodingKey(intValue: index), PolicyDocument.Rule.CodingKeys.who,
                ]
                if !rule.whoIsText { path.append(AnyCodingKey(intValue: position)) }
                throw DecodingError.mistake(error, at: path)
            }
        }
    }

    /// The patterns with the lines they stand in.
    private static func placed(_ patterns: [TargetPattern], _ key: String, _ rule: Node?) -> [TargetPattern] {
        let items = rule?.mapping?[key]?.sequence
        return patterns.enumerated().map { index, pattern in
            var pattern = pattern
            pattern.line = items.flatMap { $0.indices.contains(index) ? $0[index].mark?.line : nil }
            return pattern
        }
    }
}
