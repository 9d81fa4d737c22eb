import QiMessaging
import QiWire

/// The flat form of what an application wants: a list of lines for each rule, `allow ALTextToSpeech.*`, `limit.calls 20/s`,
/// `exclusive true`, `expires 1798761600`. The control interface and the file of installed applications have it, so that a node reads no
/// document of a stranger.
extension AppManifest {
    private static let lineLimit = 1_024
    private static let keyLimits = ["limit.payload": \PrincipalLimits.payload, "limit.queue": \.queue]
    private static let countLimits = ["limit.in-flight": \PrincipalLimits.callsInFlight, "limit.subscriptions": \.subscriptions]

    /// The rules in the flat form.
    public var permissions: [[String]] { rules.map(Self.lines) }

    /// A manifest from its flat form.
    ///
    /// - Throws: `configuration` for anything that a manifest's text could not say either.
    public init(name: String, description: String, permissions: [[String]]) throws(MeshError) {
        guard Self.isValid(name: name) else {
            throw MeshError(.configuration, "\"\(name.cut(toBytes: 80))\" is not made of 1 to 64 letters, digits and . _ - alone")
        }
        guard description.utf8.count <= Self.descriptionLimit,
            !description.unicodeScalars.contains(where: { $0.properties.generalCategory == .control })
        else {
            throw MeshError(.configuration, "a description has at most \(Self.descriptionLimit) bytes, and no control characters")
        }
        guard (1...Self.ruleLimit).contains(permissions.count) else {
            throw MeshError(.configuration, "an application has 1 to \(Self.ruleLimit) permissions")
        }
        var rules: [PermissionRule] = []
        for lines in permissions { rules.append(try Self.rule(lines, of: name)) }
        self.init(name: name, description: description, rules: rules)
    }

    private static func lines(of rule: PermissionRule) -> [String] {
        var lines = rule.deny.map { "deny \($0)" } + rule.allow.map { "allow \($0)" }
        for access in Access.allCases { lines += (rule.only[access] ?? []).map { "\(access.rawValue) \($0)" } }
        if let limits = rule.limits {
            if let rate = limits.calls { lines.append("limit.calls \(PolicyText.text(rate))") }
            if let rate = limits.inband { lines.append("limit.inband \(PolicyText.text(rate))") }
            for (key, path) in (keyLimits.merging(countLimits) { first, _ in first }).sorted(by: { $0.key < $1.key }) {
                if let number = limits[keyPath: path] { lines.append("\(key) \(number)") }
            }
        }
        if rule.isExclusive { lines.append("exclusive true") }
        if let expires = rule.expires { lines.append("expires \(expires)") }
        return lines
    }

    private static func rule(_ lines: [String], of name: String) throws(MeshError) -> PermissionRule {
        guard lines.count <= PolicyDocument.Rule.listLimit else {
            throw MeshError(.configuration, "a permission has at most \(PolicyDocument.Rule.listLimit) lines")
        }
        var rule = PermissionRule(who: [.app(NameGlob(name))])
        for line in lines {
            let parts = line.split(separator: " ", maxSplits: 1).map(String.init)
            guard line.utf8.count <= lineLimit, parts.count == 2, read(parts[0], parts[1], into: &rule) else {
                throw MeshError(.configuration, "\"\(line.cut(toBytes: 80))\" is no line of a permission, such as: allow ALTextToSpeech.*")
            }
        }
        guard !rule.deny.isEmpty || !rule.allow.isEmpty || !rule.only.isEmpty else {
            throw MeshError(.configuration, "a permission lists nothing")
        }
        return rule
    }

    /// Whether the line could be read.
    private static func read(_ key: String, _ value: String, into rule: inout PermissionRule) -> Bool {
        switch key {
        case "exclusive":
            rule.isExclusive = value == "true"
            return rule.isExclusive
        case "expires":
            rule.expires = Int64(value)
            return rule.expires != nil
        case _ where key.hasPrefix("limit."):
            var limits = rule.limits ?? PrincipalLimits()
            guard read(key, value, into: &limits) else { return false }
            rule.limits = limits
            return true
        default:
            guard value.utf8.count <= PolicyDocument.Rule.patternLimit, let pattern = TargetPattern(value) else { return false }
            switch key {
            case "deny": rule.deny.append(pattern)
            case "allow": rule.allow.append(pattern)
            default:
                guard let access = PolicyDocument.Rule.only.first(where: { $0.1.rawValue == key })?.1 else { return false }
                rule.only[access, default: []].append(pattern)
            }
            return true
        }
    }

    private static func read(_ key: String, _ value: String, into limits: inout PrincipalLimits) -> Bool {
        switch key {
        case "limit.calls":
            limits.calls = LimitText.calls(value)
            return limits.calls != nil
        case "limit.inband":
            limits.inband = LimitText.bytes(value)
            return limits.inband != nil
        default:
            guard let path = keyLimits[key] ?? countLimits[key], let number = Int(value), number >= 0 else { return false }
            guard countLimits[key] == nil || number <= 1_000_000 else { return false }
            limits[keyPath: path] = number
            return true
        }
    }
}
