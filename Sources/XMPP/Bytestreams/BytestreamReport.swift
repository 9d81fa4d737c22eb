/// Which way a bytestream took, and what became of every way that was tried: for display, and for choosing the next attempt.
public struct BytestreamReport: Hashable, Sendable {
    /// What carries the bytes.
    public enum Kind: String, Hashable, Sendable {
        /// Stanzas, through both servers (XEP-0047).
        case inBand = "in-band"
        /// A TCP connection between the two devices (XEP-0260 §2.2, types `direct`, `assisted` and `tunnel`).
        case direct
        /// Two TCP connections to a SOCKS5 proxy (XEP-0065 §6).
        case proxy
    }

    /// One address at which one side could be reached.
    public struct Candidate: Hashable, Sendable {
        /// Whether we offered it; else the peer did.
        public var isOurs: Bool
        /// `direct` or `proxy`.
        public var kind: Kind
        /// A numeric address; of a proxy, a name perhaps. A peer's: unchecked beyond its size, at most 255 bytes.
        public var host: String
        /// TCP port; 0 for an address of ours at which no port could be opened.
        public var port: UInt16
        /// Of the peer, as its side says (XEP-0260 §2.2); 0 where none was given yet.
        public var priority: UInt32
        /// Why it is not used; nil for the one that is.
        public var reason: String?

        /// Makes an entry; sessions do, and tests.
        public init(isOurs: Bool, kind: Kind, host: String, port: UInt16, priority: UInt32 = 0, reason: String? = nil) {
            self.isOurs = isOurs
            self.kind = kind
            self.host = host
            self.port = port
            self.priority = priority
            self.reason = reason
        }
    }

    /// What carries the bytes; nil when nothing does.
    public var kind: Kind?
    /// Our end of the socket, as `address:port`; nil where there is no socket.
    public var localAddress: String?
    /// The other end of the socket: the peer's, or the proxy's.
    public var remoteAddress: String?
    /// The proxy in between.
    public var proxy: JID?
    /// Every candidate, ours and the peer's, in the order of their priority. At most 32.
    public var candidates: [Candidate]

    /// Makes a report; sessions do, and tests.
    public init(
        kind: Kind?, localAddress: String? = nil, remoteAddress: String? = nil, proxy: JID? = nil, candidates: [Candidate] = []
    ) {
        self.kind = kind
        self.localAddress = localAddress
        self.remoteAddress = remoteAddress
        self.proxy = proxy
        self.candidates = candidates
    }
}

extension BytestreamReport.Candidate: CustomStringConvertible {
    /// `peer's direct 192.0.2.7:4711: connection refused`.
    public var description: String {
        let place = host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
        return "\(isOurs ? "our" : "peer's") \(kind.rawValue) \(place): \(reason ?? "in use")"
    }
}
