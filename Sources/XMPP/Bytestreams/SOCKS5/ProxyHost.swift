/// A SOCKS5 proxy and where it is reached (XEP-0065 §4).
struct ProxyHost: Hashable, Sendable {
    let jid: JID
    /// A numeric address or a name.
    let host: String
    /// 1 to 65535.
    let port: UInt16

    /// Made by discovery, and by tests.
    init(jid: JID, host: String, port: UInt16) {
        self.jid = jid
        self.host = host
        self.port = port
    }

    /// Reads a proxy's answer; nil when it names no streamhost of its own.
    init?(parsing query: Element?, of jid: JID) {
        let streamhost = query?.children("streamhost").first { $0["jid"].flatMap { JID($0) } == jid }
        guard let streamhost, let host = streamhost["host"], 1...SOCKS5Candidate.longestHost ~= host.utf8.count,
            let port = UInt16(streamhost["port"] ?? "1080"), port > 0
        else { return nil }
        self.init(jid: jid, host: host, port: port)
    }
}
