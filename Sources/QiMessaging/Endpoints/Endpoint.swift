/// Where a directory or a service can be reached: a URI as qi peers register it.
///
/// `tcp://host:port`, `unix:/path` (or `unix:///path`) and the relative `qi:Name`, which means "the connection under which
/// that service is already known" (wire reference §1, §19). `tcps://` is TLS, `tcpsm://` TLS with certificates on both sides (§24).
public struct Endpoint: Hashable, Sendable, CustomStringConvertible {
    public enum Kind: Hashable, Sendable {
        case tcp(host: String, port: UInt16)
        case tls(host: String, port: UInt16, mutual: Bool)
        case unix(path: String)
        case relative(service: String)
        /// A valid URI of a scheme that is not of this module: dialled where a transport serves it.
        case other
    }
    public let text: String
    public let kind: Kind
    public var description: String { text }

    /// Parses a URI; nil when it is none. A text without a scheme means `tcp`.
    public init?(_ given: String) {
        let text = given.contains("://") || given.hasPrefix("unix:") || given.hasPrefix("qi:") ? given : "tcp://" + given
        guard !text.isEmpty, text.utf8.count <= 1024, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        let scheme: Substring
        let rest: Substring
        if let separator = text.range(of: "://") {
            scheme = text[..<separator.lowerBound]
            rest = text[separator.upperBound...]
        } else {
            let colon = text.firstIndex(of: ":") ?? text.startIndex
            scheme = text[..<colon]
            rest = text[text.index(after: colon)...]
        }
        guard let first = scheme.utf8.first, Self.isLetter(first),
            scheme.utf8.allSatisfy({ Self.isLetter($0) || Self.isDigit($0) || $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".") })
        else { return nil }
        self.text = text
        switch scheme {
        case "tcp", "tcps", "tcpsm":
            guard let (host, port) = Self.authority(rest) else { return nil }
            kind = scheme == "tcp" ? .tcp(host: host, port: port) : .tls(host: host, port: port, mutual: scheme == "tcpsm")
        case "unix":
            guard rest.hasPrefix("/"), rest.utf8.count <= 107 else { return nil }
            kind = .unix(path: String(rest))
        case "qi":
            guard !rest.isEmpty else { return nil }
            kind = .relative(service: String(rest))
        default:
            kind = .other
        }
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    private static func authority(_ text: Substring) -> (host: String, port: UInt16)? {
        let host: Substring
        let port: Substring
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { return nil }
            host = text[text.index(after: text.startIndex)..<end]
            let after = text[text.index(after: end)...]
            guard after.hasPrefix(":") else { return nil }
            port = after.dropFirst()
        } else {
            guard let colon = text.lastIndex(of: ":") else { return nil }
            host = text[..<colon]
            port = text[text.index(after: colon)...]
            guard !host.contains(where: { "/?#@[]:".contains($0) }) else { return nil }
        }
        guard !host.isEmpty, let number = UInt16(port) else { return nil }
        return (String(host), number)
    }

    /// Whether the host is this machine's loopback: never offered to, or dialled for, another machine.
    public var isLoopback: Bool {
        switch kind {
        case .tcp(let host, _), .tls(let host, _, _): Self.isLoopback(host: host)
        case .unix: true
        case .relative: false
        case .other:
            text.range(of: "://").flatMap { Self.authority(text[$0.upperBound...]) }.map { Self.isLoopback(host: $0.host) } ?? false
        }
    }

    /// The scheme: `tcp`, `unix`, …
    public var scheme: String { String(text.prefix { $0 != ":" }) }

    /// The same scheme at another host and port; nil for one without them.
    package func replacing(host: String, port: UInt16) -> Endpoint? {
        switch kind {
        case .tcp, .tls: Endpoint("\(scheme)://\(host.contains(":") ? "[\(host)]" : host):\(port)")
        case .unix, .relative, .other: nil
        }
    }

    static func isLoopback(host: String) -> Bool {
        if host == "localhost" || host == "::1" { return true }
        // An address, and no name that only looks like one: 127.0.0.evil.
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }
}

extension StringProtocol {
    /// Foundation is not imported in this module.
    fileprivate func range(of needle: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(needle) { return start..<index(start, offsetBy: needle.count) }
            start = index(after: start)
        }
        return nil
    }
}
