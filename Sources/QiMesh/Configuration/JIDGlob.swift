/// A pattern for bare JIDs, as `accept` uses it: `*` stands for any run of characters except `@`, everything else for itself.
///
/// `op@lab.example` matches one account, `*@lab.example` a whole server. Letters compare without case, as prepared JIDs do. The
/// domain must be written out as far as it matters: `*lab.example` also matches `evil-lab.example`, which is why a star in a
/// domain is only taken as a whole label (`*@*.lab.example`).
public struct JIDGlob: Hashable, Sendable, LosslessStringConvertible {
    /// The pattern in lower case.
    public let description: String

    private let local: [UInt8]
    private let domain: [UInt8]

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
        local = Array(parts[0])
        domain = Array(parts[1])
    }

    /// Whether a prepared bare JID matches. A JID without local part, or with a resource, matches nothing.
    public func matches(_ jid: String) -> Bool {
        let bytes = Array(jid.lowercased().utf8)
        let parts = bytes.split(separator: UInt8(ascii: "@"), maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty, !bytes.contains(UInt8(ascii: "/")) else { return false }
        return Self.match(local[...], parts[0]) && Self.match(domain[...], parts[1])
    }

    private static let star = UInt8(ascii: "*")

    /// Greedy matching that returns only to the last star: at most pattern times text steps.
    private static func match(_ pattern: ArraySlice<UInt8>, _ text: ArraySlice<UInt8>) -> Bool {
        var next = pattern.startIndex
        var position = text.startIndex
        var retry: (pattern: Int, text: Int)?
        while position < text.endIndex {
            if next < pattern.endIndex, pattern[next] == star {
                retry = (next + 1, position)
                next += 1
            } else if next < pattern.endIndex, pattern[next] == text[position] {
                next += 1
                position += 1
            } else if let last = retry {
                next = last.pattern
                position = last.text + 1
                retry = (last.pattern, position)
            } else {
                return false
            }
        }
        return pattern[next...].allSatisfy { $0 == star }
    }
}
