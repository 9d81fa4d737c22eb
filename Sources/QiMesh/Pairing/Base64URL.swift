import Foundation

/// Bytes as text for addresses and attributes: base64 with `-` and `_` and without padding (RFC 4648 §5, §3.2).
enum Base64URL {
    /// The text of some bytes: 22 characters for 16 bytes, 43 for 32.
    static func encode(_ bytes: [UInt8]) -> String {
        var text = Data(bytes).base64EncodedString()
        while text.last == "=" { text.removeLast() }
        return text.replacingOccurrences(of: "+", with: "-").replacingOccurrences(of: "/", with: "_")
    }

    /// Reads the text of exactly `count` bytes; nil for anything else, other spellings of the same bytes included (RFC 4648 §3.5).
    static func decode(_ text: some StringProtocol, count: Int) -> [UInt8]? {
        guard text.utf8.count == (count * 8 + 5) / 6 else { return nil }
        var padded = text.replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
        while padded.utf8.count % 4 != 0 { padded += "=" }
        guard let data = Data(base64Encoded: padded), data.count == count else { return nil }
        let bytes = Array(data)
        return encode(bytes) == String(text) ? bytes : nil
    }
}
