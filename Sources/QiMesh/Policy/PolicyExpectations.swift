import Foundation
import QiMessaging
import Yams

/// A table of what a policy is expected to say, `qimesh policy test`:
///
///     - { who: op@lab.example, target: ALMotion.moveTo, action: call, expect: deny, rule: 2 }
///     - { who: zone:lan, target: ALTextToSpeech.say, expect: deny }
///
/// `action` is `call` where it is left out; `rule` is looked at only where it is given; `zone` says where the caller comes in; `at` is the
/// day or time it asks.
public struct PolicyExpectations: Sendable {
    /// One line of the table.
    public struct Expectation: Sendable {
        public let question: PolicyQuestion
        /// As they are written.
        public let who: String
        public let target: String
        public let action: String
        public let zone: String
        public let isAllowed: Bool
        public let rule: Int?
        /// When it is asked, in seconds since 1970; nil: now.
        public let time: Int64?
        /// The line it stands in.
        public let line: Int

        /// What is otherwise than expected; nil when nothing is.
        public func complaint(about isAllowed: Bool, _ rule: Int?) -> String? {
            let word = { $0 ? "allow" : "deny" }
            if isAllowed != self.isAllowed { return "expected \(word(self.isAllowed)), got \(word(isAllowed))" }
            if let wanted = self.rule, wanted != rule {
                return "expected rule \(wanted), got \(rule.map { "rule \($0)" } ?? "no rule")"
            }
            return nil
        }
    }

    public let path: String
    public let expectations: [Expectation]

    private static let sizeLimit = 1 << 20
    private static let countLimit = 10_000

    /// Reads a table.
    ///
    /// - Throws: `configuration` for a file that is missing, larger than 1 MiB or holds a mistake, with its line.
    public static func load(_ path: String) throws(MeshError) -> PolicyExpectations {
        guard let bytes = try PrivateFile.readPublic(path, limit: sizeLimit, code: .configuration) else {
            throw MeshError(.configuration, "there is no file \(path)")
        }
        let text = try PlainText.decode(bytes, path)
        return try parse(text, path: path)
    }

    static func parse(_ text: String, path: String) throws(MeshError) -> PolicyExpectations {
        guard let document = try YAMLDocument.parse(text, path: path, limit: sizeLimit) else {
            throw MeshError(.configuration, "\(path) expects nothing")
        }
        let rows = try document.decode([Row].self)
        guard !rows.isEmpty, rows.count <= countLimit else {
            throw MeshError(.configuration, "\(path) has \(rows.count) expectations: 1 to \(countLimit) are taken")
        }
        let nodes = document.root.sequence
        return PolicyExpectations(
            path: path, expectations: rows.enumerated().map { index, row in row.expectation(line: nodes?[index].mark?.line ?? 0) })
    }

    private struct Row: Decodable {
        enum CodingKeys: String, CodingKey, CaseIterable { case who, target, action, expect, rule, zone, at }

        let question: PolicyQuestion
        let who: String
        let target: String
        let action: String
        let zone: String
        let isAllowed: Bool
        let rule: Int?
        let time: Int64?

        init(from decoder: any Decoder) throws {
            let container = try decoder.strictContainer(CodingKeys.self)
            func required(_ key: CodingKeys) throws -> String {
                guard let text = try container.text(key, limit: 2_047) else { throw container.wrong(nil, "\(key.stringValue) is missing") }
                return text
            }
            (who, target) = (try required(.who), try required(.target))
            action = try container.text(.action, limit: 64) ?? "call"
            zone = try container.text(.zone, limit: 64) ?? ""
            let word = try required(.expect)
            guard let isAllowed = ["allow": true, "deny": false][word] else {
                throw container.wrong(.expect, "\"\(word)\" is not one of allow, deny")
            }
            self.isAllowed = isAllowed
            rule = try container.decodeIfPresent(Int.self, forKey: .rule)
            time = try container.text(.at, limit: 64).map { text in
                guard let time = PolicyDocument.Rule.time(text) else {
                    throw container.wrong(.at, "\"\(text)\" is no date such as 2027-01-01 or 2027-01-01T12:00:00Z")
                }
                return time
            }
            do throws(MeshError) {
                question = try PolicyQuestion(who: who, target: target, action: action, zone: zone)
            } catch {
                throw container.wrong(nil, error.message + (error.hint.map { "; \($0)" } ?? ""))
            }
        }

        func expectation(line: Int) -> Expectation {
            Expectation(
                question: question, who: who, target: target, action: action, zone: zone, isAllowed: isAllowed, rule: rule, time: time,
                line: line)
        }
    }
}
