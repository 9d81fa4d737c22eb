/// The `<transport xmlns='urn:xmpp:jingle:transports:s5b:1'/>` of a content (XEP-0260 §2).
struct SOCKS5Transport: Hashable, Sendable {
    /// What a side says of the candidates (XEP-0260 §2.3, §2.4).
    enum Step: Hashable, Sendable {
        /// The other side's candidate that it has connected to.
        case used(cid: String)
        /// It has connected to none.
        case failed
        /// It has activated its own proxy.
        case activated(cid: String)
        /// It does not get through to its own proxy.
        case proxyFailed
    }

    /// Most candidates that are read of one element; the best of them are looked at.
    static let mostRead = 64

    /// Id of the bytestream (XEP-0065 §9.1).
    var sid: String
    /// The name of the bytestream at the streamhosts of the side that says so; nil to be computed, and for one that is none.
    var digest: String?
    var candidates: [SOCKS5Candidate] = []
    var step: Step?

    /// A transport of ours.
    init(sid: String, digest: String? = nil, candidates: [SOCKS5Candidate] = [], step: Step? = nil) {
        self.sid = sid
        self.digest = digest
        self.candidates = candidates
        self.step = step
    }

    /// Reads a transport.
    /// - Throws: `bad-request` when something is missing or out of range, `feature-not-implemented` for datagrams.
    init(parsing element: Element) throws(StanzaError) {
        guard let sid = element["sid"], StreamName.isValid(sid) else { throw .badRequest }
        guard element["mode"] ?? "tcp" == "tcp" else { throw .featureNotImplemented }
        self.init(sid: sid)
        digest = element["dstaddr"].map { $0.lowercased() }.flatMap { StreamDigest.isValid($0) ? $0 : nil }
        for child in element.children("candidate").prefix(SOCKS5Transport.mostRead) {
            guard let candidate = try SOCKS5Candidate(parsing: child) else { continue }
            candidates.append(candidate)
        }
        if element.child("candidate-error") != nil {
            step = .failed
        } else if element.child("proxy-error") != nil {
            step = .proxyFailed
        } else if let used = element.child("candidate-used") {
            step = .used(cid: try SOCKS5Transport.cid(of: used))
        } else if let activated = element.child("activated") {
            step = .activated(cid: try SOCKS5Transport.cid(of: activated))
        }
    }

    private static func cid(of element: Element) throws(StanzaError) -> String {
        guard let cid = element["cid"], 1...SOCKS5Candidate.longestID ~= cid.utf8.count else { throw .badRequest }
        return cid
    }

    /// The transport as it is sent.
    var element: Element {
        var element = Element("transport", namespace: Namespaces.jingleSOCKS5, attributes: ["sid": sid])
        element["dstaddr"] = digest
        element.children = candidates.map(\.element)
        switch step {
        case .used(let cid): element.children.append(Element("candidate-used", attributes: ["cid": cid]))
        case .failed: element.children.append(Element("candidate-error"))
        case .activated(let cid): element.children.append(Element("activated", attributes: ["cid": cid]))
        case .proxyFailed: element.children.append(Element("proxy-error"))
        case nil: break
        }
        return element
    }
}
