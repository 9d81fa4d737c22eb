/// What may be a device's name.
enum ContactName {
    /// The longest name, in bytes.
    static let limit = 64

    /// Why a text cannot be a name; nil when it can. A name never looks like an address: what is typed with an `@` means that address.
    static func refusal(of name: String) -> String? {
        if name.isEmpty || name.utf8.count > limit { return "a name has between 1 and \(limit) bytes" }
        if name.contains("@") { return "a name has no @: with one it would look like an address" }
        if name.contains(where: { "/:".contains($0) }) { return "a name has neither a slash nor a colon" }
        if name.hasPrefix("-") || name.first?.isWhitespace == true || name.last?.isWhitespace == true {
            return "a name begins with no dash, and has no blank at its ends"
        }
        if name.unicodeScalars.contains(where: { Self.isInvisible($0) }) { return "a name has no control characters" }
        return nil
    }

    /// The part of an address before the `@`, when it can be a name.
    static func proposal(for jid: String) -> String? {
        let local = String(jid.prefix { $0 != "@" })
        return refusal(of: local) == nil ? local : nil
    }

    private static func isInvisible(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned, .privateUse: true
        default: false
        }
    }
}
