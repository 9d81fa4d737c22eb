import QiMessaging

/// A pattern for bare JIDs, as `accept` uses it: `*` stands for any run of characters except `@`, everything else for itself.
///
/// `op@lab.example` matches one account, `*@lab.example` a whole server. Letters compare without case, as prepared JIDs do. The
/// domain must be written out as far as it matters: `*lab.example` also matches `evil-lab.example`, which is why a star in a
/// domain is only taken as a whole label (`*@*.lab.example`).
public struct JIDGlob: Hashable, Sendable, LosslessStringConvertible {
    /// The pattern in lower case.
    public let description: String

    private let local: NameGlob
    private let domain: NameGlob

    /// A bare JID has at most 1 023 bytes on each side of the `@` (RFC 7622 §3.1).
    private static let lengthLimit = 2_047

    /// Reads a pattern; `nil` unless it has the form `local@domain` with both parts, no resource, no white space, and stars in
    /// the domain only as whole labels.
    public init?(_ pattern: String) {
        let lowered = pattern.lowercased()
        let bytes = Array(lowered.utf8)
        let parts = bytes.split(separator: UInt8(ascii: "@"), maxSplits: 2, omittingEmptySubsequences: false)
        guard bytes.count <= Self.lengthLimit, parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty,
            !bytes.contains(where: { $0 <= 0x20 || $0 == 0x7f || $0 == UInt8(ascii: "/") })
        else { return nil }
        let labels = parts[1].split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard labels.allSatisfy({ !$0.isEmpty && ($0.count == 1 || !$0.contains(Self.star)) }) else { return nil }
        description = lowered
        local = NameGlob(String(decoding: parts[0], as: UTF8.self))
        domain = NameGlob(String(decoding: parts[1], as: UTF8.self))
    }

    /// Whether a prepared bare JID matches. A JID without local part, or with a resource, matches nothing.
    public func matches(_ jid: String) -> Bool {
        let bytes = Array(jid.lowercased().utf8)
        let parts = bytes.split(separator: UInt8(ascii: "@"), maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty, !bytes.contains(UInt8(ascii: "/")) else { return false }
        return local.matches(String(decoding: parts[0], as: UTF8.self)) && domain.matches(String(decoding: parts[1], as: UTF8.self))
    }

    private static let star = UInt8(ascii: "*")
}
