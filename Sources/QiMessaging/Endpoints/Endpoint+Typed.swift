extension Endpoint {
    /// The port of a directory where none is typed: libqi's for plain TCP (libqi `src/messaging/session.cpp`), that of robots since
    /// NAOqi 2.9 for TLS.
    static func usualPort(scheme: String) -> UInt16 { scheme == "tcp" ? 9559 : 9503 }

    /// Reads an address as people type it, and as libqi takes it: without a scheme (`tcp`), without a port, with a slash at the end, an
    /// IPv6 address with or without brackets, a path for a unix socket; the scheme in any case. Nil when it is no address of a directory.
    ///
    /// What peers register is read by ``init(_:)``, which takes whole URIs only.
    public static func typed(_ text: String) -> Endpoint? {
        var rest = trimmed(text)
        if rest.hasPrefix("/") { return Endpoint("unix:" + rest) }
        var scheme = "tcp"
        if let end = rest.firstRange(of: "://") {
            scheme = rest[..<end.lowerBound].lowercased()
            rest = rest[end.upperBound...]
        } else if rest.lowercased().hasPrefix("unix:") {
            scheme = "unix"
            rest = rest.dropFirst(5)
        }
        switch scheme {
        case "tcp", "tcps", "tcpsm":
            while rest.last == "/" { rest.removeLast() }
            guard let (host, port) = place(rest) else { return nil }
            let authority = host.contains(":") ? "[\(host)]" : String(host)
            return Endpoint("\(scheme)://\(authority):\(port ?? usualPort(scheme: scheme))")
        case "unix":
            // What a file is called may end in anything, but a socket's path does not end in a slash.
            while rest.count > 1, rest.last == "/" { rest.removeLast() }
            return Endpoint("unix:" + rest)
        default: return nil
        }
    }

    /// Whether a text can only mean an address, and not the name of a device: it has a scheme, begins as a path, or is an IP address,
    /// `localhost`, or a host with a port.
    public static func isAddress(_ text: String) -> Bool {
        let text = trimmed(text)
        if text.contains("://") || text.lowercased().hasPrefix("unix:") || text.hasPrefix("/") { return true }
        var rest = text
        while rest.last == "/" { rest.removeLast() }
        guard !rest.contains("@"), !rest.contains("/"), let (host, port) = place(rest) else { return false }
        return port != nil || host.lowercased() == "localhost" || IPAddress(String(host)) != nil
    }

    private static func trimmed(_ text: String) -> Substring {
        var text = text[...]
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }

    /// Host and port of `HOST`, `HOST:PORT`, `[ADDRESS]`, `[ADDRESS]:PORT`, or an IPv6 address; nil for anything else.
    private static func place(_ text: Substring) -> (host: Substring, port: UInt16?)? {
        if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
            let host = text[text.index(after: text.startIndex)..<end]
            let after = text[text.index(after: end)...]
            if after.isEmpty { return (host, nil) }
            return after.first == ":" ? number(after.dropFirst()).map { (host, $0) } : nil
        }
        guard let colon = text.lastIndex(of: ":") else { return text.isEmpty ? nil : (text, nil) }
        // Two colons: an address without brackets, which cannot be followed by a port.
        if text[..<colon].contains(":") { return IPAddress(String(text)) == nil ? nil : (text, nil) }
        guard colon > text.startIndex, let port = number(text[text.index(after: colon)...]) else { return nil }
        return (text[..<colon], port)
    }

    /// Digits alone: `UInt16` would take a sign, too.
    private static func number(_ text: Substring) -> UInt16? {
        text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ? UInt16(text) : nil
    }
}
