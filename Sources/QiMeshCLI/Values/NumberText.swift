import Foundation
import QiWire

/// Numbers as people write them where JSON is stricter: `+5`, `.5`, `5.`, `0x1F`, `1_000`, `007`, `NaN`.
struct NumberText {
    /// The number.
    var value: QiValue
    /// Whether the text can hardly mean anything else. Not so with digits that are grouped or begin with zeros, which are as often the
    /// parts of a name, and with words.
    var isCertain: Bool

    /// Nil for what is no number, or none that has 64 bits.
    init?(_ text: String) {
        let text = text.trimmingCharacters(in: .whitespaces)
        guard text.utf8.count <= 128 else { return nil }
        if let word = Self.words[text.lowercased()] {
            (value, isCertain) = (.double(word), false)
            return
        }
        let isNegative = text.hasPrefix("-")
        let digits = isNegative || text.hasPrefix("+") ? text.dropFirst() : text[...]
        guard let first = digits.unicodeScalars.first, first.isASCII, first == "." || ("0"..."9").contains(first) else { return nil }
        guard let plain = Self.ungrouped(digits) else { return nil }
        let isGrouped = plain.utf8.count < digits.utf8.count
        if let (prefix, radix) = Self.radixes.first(where: { plain.lowercased().hasPrefix($0.prefix) }) {
            guard let value = Self.integer(plain.dropFirst(prefix.count), radix: radix, isNegative) else { return nil }
            (self.value, isCertain) = (value, !isGrouped)
            return
        }
        let hasLeadingZero = plain.hasPrefix("0") && plain.dropFirst().first?.isNumber == true
        isCertain = !isGrouped && !hasLeadingZero
        if let value = Self.integer(plain[...], radix: 10, isNegative) {
            self.value = value
            return
        }
        guard let decimal = Self.decimal(plain), let number = Double((isNegative ? "-" : "") + decimal), number.isFinite else { return nil }
        value = .double(number)
    }

    private static let words: [String: Double] = [
        "nan": .nan, "inf": .infinity, "+inf": .infinity, "-inf": -.infinity, "infinity": .infinity, "+infinity": .infinity,
        "-infinity": -.infinity,
    ]
    private static let radixes: [(prefix: String, radix: Int)] = [("0x", 16), ("0o", 8), ("0b", 2)]

    /// Without the underscores between digits; nil when one stands elsewhere.
    private static func ungrouped(_ text: Substring) -> String? {
        let parts = text.split(separator: "_", omittingEmptySubsequences: false)
        let isFollowed = parts.dropFirst().allSatisfy { $0.first?.isHexDigit == true }
        let isPreceded = parts.dropLast().allSatisfy { $0.last?.isHexDigit == true }
        return isFollowed && isPreceded ? parts.joined() : nil
    }

    private static func integer(_ digits: Substring, radix: Int, _ isNegative: Bool) -> QiValue? {
        // A second sign would be taken, too.
        guard digits.first?.isHexDigit == true else { return nil }
        let text = (isNegative ? "-" : "") + digits
        return Int64(text, radix: radix).map { .int64($0) } ?? UInt64(text, radix: radix).map { .uint64($0) }
    }

    /// Digits, one point, an exponent, with a digit on both sides of the point: what else `Double` takes is no usual spelling.
    private static func decimal(_ text: String) -> String? {
        var rest = text[...]
        func digits() -> Substring {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest.dropFirst(digits.count)
            return digits
        }
        let whole = digits()
        var fraction: Substring = ""
        if rest.first == "." {
            rest = rest.dropFirst()
            fraction = digits()
        }
        guard !whole.isEmpty || !fraction.isEmpty else { return nil }
        let number = (whole.isEmpty ? "0" : whole) + "." + (fraction.isEmpty ? "0" : fraction)
        guard let next = rest.first else { return String(number) }
        guard next == "e" || next == "E" else { return nil }
        rest = rest.dropFirst()
        let sign = rest.first == "-" || rest.first == "+" ? String(rest.removeFirst()) : ""
        let exponent = digits()
        return exponent.isEmpty || !rest.isEmpty ? nil : number + "e" + sign + exponent
    }
}
