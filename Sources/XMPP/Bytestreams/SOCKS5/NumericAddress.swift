import NIOCore

/// IP addresses as text.
enum NumericAddress {
    /// The address as a socket wants it; nil for names and what else is none. An IPv6 address may have a scope (RFC 4007 §11). Asks no
    /// name server.
    static func socketAddress(_ text: String, port: UInt16) -> SocketAddress? {
        let parts = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        // The system reads a text up to its first byte of zero.
        guard parts[0].utf8.allSatisfy(isAddressByte), !text.utf8.contains(0) else { return nil }
        do {
            let plain = try SocketAddress(ipAddress: String(parts[0]), port: Int(port))
            guard parts.count == 2 else { return plain }
            guard case .v6 = plain, !parts[1].isEmpty else { return nil }
            // The system reads a numeric address with its scope without asking anybody.
            return try SocketAddress.makeAddressResolvingHost(text, port: Int(port))
        } catch {
            return nil
        }
    }

    private static func isAddressByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"),
            UInt8(ascii: ":"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    /// The one way to write an address: IPv4 inside IPv6 as IPv4, no scope; nil for what is no address.
    static func canonical(_ text: String) -> String? {
        guard !text.utf8.contains(UInt8(ascii: "%")), let address = socketAddress(text, port: 0)?.ipAddress else { return nil }
        let mapped = "::ffff:"
        guard address.hasPrefix(mapped), address.utf8.contains(UInt8(ascii: ".")) else { return address }
        return String(address.dropFirst(mapped.count))
    }

    /// Whether an address in its canonical form means something only together with an interface (RFC 4291 §2.5.6).
    static func needsScope(_ canonical: String) -> Bool {
        ["fe8", "fe9", "fea", "feb"].contains { canonical.hasPrefix($0) } && canonical.utf8.contains(UInt8(ascii: ":"))
    }
}
