import QiMessaging

/// How callers are written in a policy file, and in `qimesh policy check`.
enum SubjectText {
    /// A JID or a glob of one has at most 2 047 bytes, everything else is shorter.
    private static let lengthLimit = 2_047

    static let forms = "JID, *@DOMAIN, domain:, group:, zone:, cert:, app:, user:, host: or everyone"

    /// Reads one entry of `who`.
    ///
    /// - Parameter groups: the groups that exist; nil where none may be named.
    /// - Throws: a ``ConfigurationMistake``.
    static func subject(_ text: String, groups: [String: [Subject]]?) throws(ConfigurationMistake) -> Subject {
        guard text.utf8.count <= lengthLimit else { throw ConfigurationMistake(message: "the name of a caller is too long") }
        if text == "everyone" || text == "*" { return .everyone }
        guard let colon = text.firstIndex(of: ":"), !text[..<colon].contains("@") else { return try jid(text) }
        let (kind, name) = (String(text[..<colon]), String(text[text.index(after: colon)...]))
        guard !name.isEmpty else { throw ConfigurationMistake(message: "\"\(text)\" names nobody") }
        switch kind {
        case "zone": return .zone(try zone(name))
        case "group": return try group(name, groups)
        case "cert": return .certificate(try fingerprint(name))
        case "app": return .app(NameGlob(name))
        case "user": return .user(NameGlob(name))
        case "host": return .host(name)
        case "domain": return try jid("*@" + name)
        default:
            let known = ["zone", "group", "cert", "app", "user", "host", "domain"]
            let near = Spelling.nearest(to: kind, among: known).map { "did you mean \($0):\(name)?" }
            throw ConfigurationMistake(message: "\"\(text)\" is no kind of caller", suggestion: near ?? "use \(forms)")
        }
    }

    private static func jid(_ text: String) throws(ConfigurationMistake) -> Subject {
        guard let glob = JIDGlob(text) else {
            let isDomain = !text.contains("@") && text.contains(".")
            throw ConfigurationMistake(
                message: "\"\(text)\" is no JID of the form NAME@DOMAIN",
                suggestion: isDomain ? "for everybody there write *@\(text)" : "use \(forms)")
        }
        let parts = glob.description.split(separator: "@")
        return .device(local: NameGlob(String(parts[0])), domain: NameGlob(String(parts[1])))
    }

    static func zone(_ name: String) throws(ConfigurationMistake) -> Zone {
        if let zone = Zone(rawValue: name) { return zone }
        let known = Zone.allCases.map(\.rawValue)
        throw ConfigurationMistake(
            message: "there is no zone \"\(name)\"",
            suggestion: Spelling.nearest(to: name, among: known).map { "did you mean \($0)?" } ?? "known are \(known.joined(separator: ", "))")
    }

    private static func group(_ name: String, _ groups: [String: [Subject]]?) throws(ConfigurationMistake) -> Subject {
        guard let groups else { throw ConfigurationMistake(message: "a group cannot hold the group \"\(name)\"") }
        if let members = groups[name] { return .group(name, members) }
        let near = Spelling.nearest(to: name, among: Array(groups.keys)).map { "did you mean group:\($0)?" }
        throw ConfigurationMistake(message: "there is no group \"\(name)\"", suggestion: near ?? "add it below groups:")
    }

    /// `SHA256:…` as `qimesh identity` prints it, or the same 32 bytes as 64 hexadecimal digits.
    static func fingerprint(_ text: String) throws(ConfigurationMistake) -> String {
        if let key = KeyFingerprint(text) { return key.hexadecimal }
        let digits = text.lowercased()
        guard digits.utf8.count == 64, digits.allSatisfy({ $0.isHexDigit && $0.isASCII }) else {
            throw ConfigurationMistake(
                message: "\"\(text)\" is no fingerprint", suggestion: "it looks like SHA256:…, as `qimesh identity` prints it")
        }
        return digits
    }

    /// Reads the caller that `policy check` and a table of expectations name: one of the forms above that means one caller.
    ///
    /// - Parameter zone: where the caller comes in; nil takes the usual one of its kind.
    static func principal(_ text: String, zone: Zone? = nil) throws(ConfigurationMistake) -> Principal {
        let subject = try subject(text, groups: nil)
        switch subject {
        case .device(let local, let domain) where local.isLiteral && domain.isLiteral:
            return Principal(.device("\(local)@\(domain)"), zone: zone ?? .internet)
        case .certificate(let key): return Principal(.certificate(key), zone: zone ?? .lan, fingerprint: key)
        case .app(let name) where name.isLiteral: return Principal(.app("\(name)"), zone: zone ?? .lan)
        case .user(let name) where name.isLiteral: return Principal(.user("\(name)"), zone: zone ?? .lan)
        case .host(let host): return Principal(.host(host), zone: zone ?? .lan)
        case .zone(.internal): return Principal(.process(uid: nil), zone: .internal)
        // Somebody of whom nothing else is known.
        case .zone(let named): return Principal(.host("somebody"), zone: named)
        default:
            throw ConfigurationMistake(message: "\"\(text)\" is more than one caller", suggestion: "name one: JID, app:, user:, cert:, host: or zone:")
        }
    }
}

extension KeyFingerprint {
    /// 64 hexadecimal digits in lower case, as ``Principal`` has it.
    public var hexadecimal: String { digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }

    /// Reads 64 hexadecimal digits; nil for anything else.
    public init?(hexadecimal text: String) {
        let digits = text.compactMap(\.hexDigitValue)
        guard text.utf8.count == 64, digits.count == 64 else { return nil }
        self.init(digest: stride(from: 0, to: 64, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) })
    }
}
