import Glibc

/// Numeric addresses of a server, tried one per attempt.
///
/// libstrophe stops at the first address whose connect() is under way, and an address that fails later is not followed by
/// the next (reference `xmpp.md` §1.3): with a broken IPv6 it never connects. So it gets one numeric address at a time.
struct ServerAddresses {
    /// Finds the addresses of a name, or says why there are none; blocks.
    typealias LookUp = @Sendable (String) -> (addresses: [String], fault: String?)

    private var remaining: [String] = []
    /// What the system said when a name did not resolve.
    private(set) var fault: String?

    /// The next address to try; resolves the name (blocking) when all of the last answer were tried. Nil when the name does
    /// not resolve.
    mutating func next(for host: String, by lookUp: LookUp = ServerAddresses.lookUp) -> String? {
        if remaining.isEmpty { (remaining, fault) = lookUp(host) }
        return remaining.isEmpty ? nil : remaining.removeFirst()
    }

    /// Whether the last answer has addresses that were not tried.
    var hasMore: Bool { !remaining.isEmpty }

    /// Forgets what is left, after an address worked.
    mutating func reset() { remaining = [] }

    /// All addresses of a name in the system's order, at most 16.
    static func resolve(_ host: String) -> [String] { lookUp(host).addresses }

    /// The same, with what the system said when there are none.
    static func lookUp(_ host: String) -> (addresses: [String], fault: String?) {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG
        var list: UnsafeMutablePointer<addrinfo>?
        // AI_ADDRCONFIG hides loopback on a machine that has nothing else.
        if getaddrinfo(host, nil, &hints, &list) != 0 {
            hints.ai_flags = 0
            let status = getaddrinfo(host, nil, &hints, &list)
            guard status == 0 else { return ([], gai_strerror(status).map { String(cString: $0) } ?? "no answer") }
        }
        defer { freeaddrinfo(list) }
        var addresses: [String] = []
        var entry = list
        while let current = entry, addresses.count < 16 {
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            let status = getnameinfo(
                current.pointee.ai_addr, current.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
            if status == 0 {
                let end = text.firstIndex(of: 0) ?? text.endIndex
                let address = String(decoding: text[..<end].map { UInt8(bitPattern: $0) }, as: UTF8.self)
                if !addresses.contains(address) { addresses.append(address) }
            }
            entry = current.pointee.ai_next
        }
        return (addresses, addresses.isEmpty ? "no address" : nil)
    }
}
