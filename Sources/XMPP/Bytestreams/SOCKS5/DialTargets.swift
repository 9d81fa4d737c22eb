/// Which addresses of a candidate are dialled: all that are known of it and that the owner permits. A pure value.
struct DialTargets: Equatable {
    /// Numeric, IPv6 link-local ones with their scope.
    var addresses: [String] = []
    /// Why others are not.
    var refusals: [String] = []

    /// Why nothing is dialled; nil when something is.
    var refusal: String? { addresses.isEmpty ? (refusals.isEmpty ? "no address" : refusals.joined(separator: "; ")) : nil }

    /// The addresses that a candidate's host stands for, before anybody is asked.
    enum Host: Equatable {
        case addresses([String])
        /// A proxy's name, to be looked up.
        case name(String)
        case refused(String)
    }

    /// - Parameter ownAddresses: of this device: the scopes of those that are link-local are the interfaces on which a peer's link-local
    ///   address is looked for.
    static func host(_ candidate: SOCKS5Candidate, ownAddresses: [String]) -> Host {
        guard let address = NumericAddress.canonical(candidate.host) else {
            if candidate.host.utf8.contains(UInt8(ascii: "%")) { return .refused("its scope is one of the peer's own interfaces") }
            // A name would have us ask name servers, and knock at what they say, on a peer's behalf.
            return candidate.kind == .proxy ? .name(candidate.host) : .refused("no numeric address")
        }
        guard NumericAddress.needsScope(address) else { return .addresses([address]) }
        var scopes: [Substring] = []
        for own in ownAddresses {
            let parts = own.split(separator: "%", maxSplits: 1)
            if parts.count == 2, !scopes.contains(parts[1]) { scopes.append(parts[1]) }
        }
        return scopes.isEmpty ? .refused("link-local, and no interface of ours is") : .addresses(scopes.map { "\(address)%\($0)" })
    }

    /// Those that may be dialled, at most so many.
    init(_ addresses: [String], most: Int, permits: (String) -> String?) {
        for address in addresses.prefix(most) {
            if let reason = permits(address) { refusals.append("\(address): \(reason)") } else { self.addresses.append(address) }
        }
    }
}
