extension JID {
    /// Most bytes of UTF-8 in one part of an address (RFC 7622 §3.1).
    static let longestPart = 1023

    /// The node as it is compared and sent, or nil. Beyond the length: no white space, no control characters, none of
    /// `"&'/:<>@` (RFC 7622 §3.3.1).
    static func preparedNode(_ text: Substring) -> String? {
        let prepared = text.lowercased()
        guard isPart(prepared) else { return nil }
        for scalar in prepared.unicodeScalars where isForbiddenInNode(scalar) { return nil }
        return prepared
    }

    /// The domain as it is compared and sent, or nil. One final dot is dropped (RFC 7622 §3.2).
    static func preparedDomain(_ text: Substring) -> String? {
        var prepared = text.lowercased()
        if prepared.utf8.last == UInt8(ascii: ".") { prepared.removeLast() }
        guard isPart(prepared) else { return nil }
        for scalar in prepared.unicodeScalars where isForbiddenInNode(scalar) && !isAddressLiteral(scalar) { return nil }
        return prepared
    }

    /// The resource as it is compared and sent, or nil: anything but control characters (RFC 7622 §3.4).
    static func preparedResource(_ text: Substring) -> String? {
        guard isPart(text) else { return nil }
        for scalar in text.unicodeScalars where isControl(scalar) { return nil }
        return String(text)
    }

    private static func isPart(_ text: some StringProtocol) -> Bool {
        let count = text.utf8.count
        return count > 0 && count <= longestPart
    }

    private static func isForbiddenInNode(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "\"", "&", "'", "/", ":", "<", ">", "@": true
        default: isControl(scalar) || scalar.properties.isWhitespace
        }
    }

    /// A domain may be an IPv6 literal, `[2001:db8::1]`.
    private static func isAddressLiteral(_ scalar: Unicode.Scalar) -> Bool { scalar == ":" }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        // Private and unassigned scalars are refused by PRECIS too; they would compare differently on different servers.
        case .control, .surrogate, .unassigned, .privateUse: true
        default: scalar.value == 0x2028 || scalar.value == 0x2029
        }
    }
}
