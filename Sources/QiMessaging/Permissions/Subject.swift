/// Whom a rule names.
public indirect enum Subject: Hashable, Sendable {
    /// Everybody, processes of the robot's own bus included.
    case everyone
    /// Everybody who came in there.
    case zone(Zone)
    /// Devices: `local` and `domain` of the bare JID, in lower case. ``NameGlob`` each.
    case device(local: NameGlob, domain: NameGlob)
    /// The holder of a key, 64 hexadecimal digits in lower case (``Principal/Identity/certificate(_:)``), however it came in.
    case certificate(String)
    case user(NameGlob)
    case app(NameGlob)
    /// Somebody at this address who has proven nothing else.
    case host(String)
    /// Any of several, under a name.
    case group(String, [Subject])

    func names(_ principal: Principal) -> Bool {
        switch (self, principal.identity) {
        case (.everyone, _): true
        case (.zone(let zone), _): principal.zone == zone
        case (.group(_, let members), _): members.contains { $0.names(principal) }
        case (.certificate(let key), .certificate(let shown)): key == shown
        case (.certificate(let key), _): key == principal.fingerprint
        case (.device(let local, let domain), .device(let jid)): Self.matches(jid, local, domain)
        case (.user(let glob), .user(let name)): glob.matches(name)
        case (.app(let glob), .app(let name)): glob.matches(name)
        case (.host(let host), .host(let shown)): host == shown
        default: false
        }
    }

    /// Whether it is the holder of a key, or a group with one.
    var isKey: Bool {
        switch self {
        case .certificate: true
        case .group(_, let members): members.contains(where: \.isKey)
        default: false
        }
    }

    /// A JID without a local part, or with a resource, is no device's.
    private static func matches(_ jid: String, _ local: NameGlob, _ domain: NameGlob) -> Bool {
        let parts = jid.lowercased().split(separator: "@", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty, !parts[1].contains("/") else { return false }
        return local.matches(String(parts[0])) && domain.matches(String(parts[1]))
    }
}

extension Subject: CustomStringConvertible {
    /// As it is written in a policy file.
    public var description: String {
        switch self {
        case .everyone: "everyone"
        case .zone(let zone): "zone:\(zone)"
        case .device(let local, let domain): "\(local)@\(domain)"
        case .certificate(let key): "cert:\(key)"
        case .user(let name): "user:\(name)"
        case .app(let name): "app:\(name)"
        case .host(let host): "host:\(host)"
        case .group(let name, _): "group:\(name)"
        }
    }
}
