import Foundation
import QiMessaging
import QiWire

/// `policy.yaml` as it is written (reference "cli-and-config" §4), before names are looked up in it.
struct PolicyDocument: Decodable {
    enum CodingKeys: String, CodingKey, CaseIterable { case groups, rules, audit }

    /// A policy of more rules than this is nobody's work.
    private static let ruleLimit = 1_000
    private static let groupLimit = 256

    var groups: [String: [Subject]] = [:]
    var rules: [Rule] = []
    var audit = AuditSettings()

    init(from decoder: any Decoder) throws {
        let container = try decoder.strictContainer(CodingKeys.self)
        if let lists = try container.decodeIfPresent([String: [String]].self, forKey: .groups) {
            guard lists.count <= Self.groupLimit else { throw container.wrong(.groups, "more than \(Self.groupLimit) groups") }
            for (name, members) in lists {
                for (index, text) in members.enumerated() {
                    do throws(ConfigurationMistake) {
                        groups[name, default: []].append(try SubjectText.subject(text, groups: nil))
                    } catch {
                        throw DecodingError.mistake(
                            error, at: decoder.codingPath + [CodingKeys.groups, AnyCodingKey(stringValue: name), AnyCodingKey(intValue: index)])
                    }
                }
                if members.isEmpty { groups[name] = [] }
            }
        }
        rules = try container.decodeIfPresent([Rule].self, forKey: .rules) ?? []
        guard rules.count <= Self.ruleLimit else { throw container.wrong(.rules, "more than \(Self.ruleLimit) rules") }
        audit = try container.decodeIfPresent(AuditSettings.self, forKey: .audit) ?? audit
    }
}

extension PolicyDocument {
    /// One rule.
    struct Rule: Decodable {
        enum CodingKeys: String, CodingKey, CaseIterable {
            case who, deny, allow, call, subscribe, read, write, emit, register, limit, exclusive, expires
        }

        /// The lists for one kind of access each.
        static let only: [(CodingKeys, Access)] = [
            (.call, .call), (.subscribe, .subscribe), (.read, .read), (.write, .write), (.emit, .emit), (.register, .register),
        ]
        static let listLimit = 1_000
        static let patternLimit = 512

        var who: [String]
        /// Whether `who` is one text, which matters to where a mistake is.
        var whoIsText: Bool
        var deny: [TargetPattern] = []
        var allow: [TargetPattern] = []
        var only: [Access: [TargetPattern]] = [:]
        var limits: PrincipalLimits?
        var isExclusive: Bool
        var expires: Int64?

        init(from decoder: any Decoder) throws {
            let container = try decoder.strictContainer(
                CodingKeys.self,
                advice: [
                    "safety": "safety stops are not part of this version: a rule that promised one would be a danger",
                    "limits": "the bounds of a rule are given as limit",
                ])
            if let one = try? container.container.decode(String.self, forKey: .who) {
                who = [one]
                whoIsText = true
            } else {
                who = try container.container.decode([String].self, forKey: .who)
                whoIsText = false
            }
            guard !who.isEmpty, who.count <= Self.listLimit else { throw container.wrong(.who, "who must name 1 to \(Self.listLimit) callers") }
            deny = try Self.patterns(.deny, container)
            allow = try Self.patterns(.allow, container)
            for (key, access) in Self.only {
                let patterns = try Self.patterns(key, container)
                if !patterns.isEmpty { only[access] = patterns }
            }
            guard !deny.isEmpty || !allow.isEmpty || !only.isEmpty else {
                throw container.wrong(nil, "this rule lists nothing: add allow, deny, or a list for one kind of access")
            }
            limits = try container.decodeIfPresent(LimitSection.self, forKey: .limit)?.limits
            isExclusive = try container.decodeIfPresent(Bool.self, forKey: .exclusive) ?? false
            if let text = try container.text(.expires, limit: 64) {
                guard let time = Self.time(text) else {
                    throw container.wrong(.expires, "\"\(text)\" is no date such as 2027-01-01 or 2027-01-01T12:00:00Z")
                }
                expires = time
            }
        }

        private static func patterns(_ key: CodingKeys, _ container: StrictContainer<CodingKeys>) throws -> [TargetPattern] {
            guard let texts = try container.decodeIfPresent([String].self, forKey: key) else { return [] }
            guard texts.count <= listLimit else { throw container.wrong(key, "more than \(listLimit) entries") }
            return try texts.enumerated().map { index, text in
                guard text.utf8.count <= patternLimit, let pattern = TargetPattern(text) else {
                    let shown = text.cut(toBytes: 80)
                    throw container.wrong(key, index: index, "\"\(shown)\" is not of the form Service.member, with * for any name")
                }
                return pattern
            }
        }

        /// A day ends nothing: the rule ends when the day begins, in UTC.
        static func time(_ text: String) -> Int64? {
            let day = Date.ISO8601FormatStyle().year().month().day()
            let date = try? text.contains("T") ? Date(text, strategy: .iso8601) : Date(text, strategy: day)
            return date.map { Int64($0.timeIntervalSince1970) }
        }
    }

    /// The bounds of a rule.
    private struct LimitSection: Decodable {
        enum CodingKeys: String, CodingKey, CaseIterable {
            case calls, inband, payload
            case callsInFlight = "in-flight"
            case subscriptions, queue
        }

        var limits = PrincipalLimits()

        init(from decoder: any Decoder) throws {
            let container = try decoder.strictContainer(CodingKeys.self)
            if let text = try container.text(.calls, limit: 32) {
                guard let rate = LimitText.calls(text) else { throw container.wrong(.calls, "\"\(text)\" is no rate such as 20/s or 600/m") }
                limits.calls = rate
            }
            if let text = try container.text(.inband, limit: 32) {
                guard let rate = LimitText.bytes(text) else { throw container.wrong(.inband, "\"\(text)\" is no rate such as 2kB/s") }
                limits.inband = rate
            }
            limits.payload = try Self.size(.payload, container)
            limits.queue = try Self.size(.queue, container)
            limits.callsInFlight = try Self.count(.callsInFlight, container)
            limits.subscriptions = try Self.count(.subscriptions, container)
        }

        private static func size(_ key: CodingKeys, _ container: StrictContainer<CodingKeys>) throws -> Int? {
            guard let text = try container.text(key, limit: 32) else { return nil }
            guard let size = Quantity.bytes(text) else { throw container.wrong(key, "\"\(text)\" is no size such as 64kB") }
            return size
        }

        private static func count(_ key: CodingKeys, _ container: StrictContainer<CodingKeys>) throws -> Int? {
            guard let count = try container.decodeIfPresent(Int.self, forKey: key) else { return nil }
            guard (0...1_000_000).contains(count) else { throw container.wrong(key, "\(count) is not between 0 and 1000000") }
            return count
        }
    }
}

extension DecodingError {
    static func mistake(_ mistake: ConfigurationMistake, at path: [any CodingKey]) -> DecodingError {
        .dataCorrupted(.init(codingPath: path, debugDescription: mistake.message, underlyingError: mistake))
    }
}
