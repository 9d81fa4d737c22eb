/// A streamhost that one side offers (XEP-0260 §2.2).
struct SOCKS5Candidate: Hashable, Sendable {
    /// How it is reached (XEP-0260 §2.2, table of types).
    enum Kind: String, Sendable {
        case direct, assisted, tunnel, proxy

        /// The type's preference, 0 to 127.
        var preference: UInt32 {
            switch self {
            case .direct: 126
            case .assisted: 120
            case .tunnel: 110
            case .proxy: 10
            }
        }
    }

    /// Most bytes of a peer's id; of its host, as in DNS.
    static let longestID = 128
    static let longestHost = 255

    /// Unique among the candidates of its side.
    var cid: String
    var kind: Kind
    /// A numeric address, or of a proxy perhaps a name.
    var host: String
    /// 1 to 65535.
    var port: UInt16
    /// Who runs it: the offering side, or the proxy.
    var jid: JID
    /// The higher, the better.
    var priority: UInt32

    /// A candidate of ours. `rank` is its place among those of its kind, 0 for the best.
    init(cid: String, _ kind: Kind, host: String, port: UInt16, jid: JID, rank: Int) {
        self.cid = cid
        self.kind = kind
        self.host = host
        self.port = port
        self.jid = jid
        priority = kind.preference << 16 + UInt32(max(0, 65535 - rank))
    }

    /// Reads a candidate; nil for a type that is not known.
    /// - Throws: `bad-request` when something is missing or out of range.
    init?(parsing element: Element) throws(StanzaError) {
        guard let cid = element["cid"], 1...SOCKS5Candidate.longestID ~= cid.utf8.count,
            let host = element["host"], 1...SOCKS5Candidate.longestHost ~= host.utf8.count,
            let jid = element["jid"].flatMap({ JID($0) }),
            let priority = element["priority"].flatMap({ UInt32($0) }),
            // The port of SOCKS where none is given (XEP-0065 §9.2).
            let port = UInt16(element["port"] ?? "1080"), port > 0
        else { throw .badRequest }
        guard let kind = Kind(rawValue: element["type"] ?? "direct") else { return nil }
        self.cid = cid
        self.kind = kind
        self.host = host
        self.port = port
        self.jid = jid
        self.priority = priority
    }

    /// The candidate as it is sent.
    var element: Element {
        Element(
            "candidate",
            attributes: [
                "cid": cid, "type": kind.rawValue, "host": host, "port": String(port), "jid": jid.description, "priority": String(priority),
            ])
    }

    /// The same in a report.
    func reported(isOurs: Bool, reason: String?) -> BytestreamReport.Candidate {
        BytestreamReport.Candidate(
            isOurs: isOurs, kind: kind == .proxy ? .proxy : .direct, host: host, port: port, priority: priority, reason: reason)
    }
}
