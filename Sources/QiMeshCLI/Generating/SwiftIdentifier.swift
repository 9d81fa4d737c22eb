/// Names as Swift source may have them. Names come from strangers: what is not plainly a name never reaches the output.
enum SwiftIdentifier {
    /// The longest name taken over, in bytes.
    static let lengthLimit = 200

    private static let keywords: Set<String> = [
        "Any", "Protocol", "Self", "Type", "as", "associatedtype", "async", "await", "break", "case", "catch", "class", "continue",
        "default", "defer", "deinit", "do", "else", "enum", "extension", "fallthrough", "false", "fileprivate", "for", "func", "guard",
        "if", "import", "in", "init", "inout", "internal", "is", "let", "nil", "operator", "precedencegroup", "private", "protocol",
        "public", "repeat", "rethrows", "return", "self", "static", "struct", "subscript", "super", "switch", "throw", "throws", "true",
        "try", "typealias", "var", "where", "while",
    ]

    /// A name as it is, in backticks if it is a keyword; nil when Swift has no way to write it.
    static func exact(_ name: String) -> String? {
        guard name.utf8.count <= lengthLimit, let first = name.utf8.first, isLetter(first), name != "_",
            name.utf8.allSatisfy({ isLetter($0) || isDigit($0) })
        else { return nil }
        // `Self` and `Type` mean themselves even in backticks where a member is declared.
        guard name != "Self", name != "Type", name != "Protocol", name != "init" else { return nil }
        return keywords.contains(name) ? "`\(name)`" : name
    }

    /// A name of a type made from any text: its letters and digits, the first of each word in upper case; nil when none is left.
    static func type(from text: String) -> String? {
        let words = text.utf8.prefix(lengthLimit).split { !isLetter($0) && !isDigit($0) }.map { String(decoding: $0, as: UTF8.self) }
        var name = words.map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
        guard let first = name.utf8.first else { return nil }
        if isDigit(first) { name = "_" + name }
        return name == "_" || keywords.contains(name) ? name + "_" : name
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
            || byte == UInt8(ascii: "_")
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
}
