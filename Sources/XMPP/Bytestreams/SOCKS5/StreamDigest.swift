import Crypto

/// The name of a bytestream at a streamhost, the destination of its SOCKS5 requests (XEP-0065 §5.3.2).
enum StreamDigest {
    /// SHA-1 of stream id, the address of the side that offers the streamhost, and the other side's, as 40 hexadecimal digits. Of a
    /// proxy the offering side is the one that activates it (XEP-0260 §2.2).
    static func of(sid: String, offering: JID, other: JID) -> String {
        Insecure.SHA1.hash(data: Array("\(sid)\(offering)\(other)".utf8)).map { byte in
            let digits = String(byte, radix: 16)
            return digits.utf8.count == 1 ? "0" + digits : digits
        }.joined()
    }

    /// Whether that is one, in lower case.
    static func isValid(_ text: String) -> Bool {
        text.utf8.count == 40
            && text.utf8.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 || UInt8(ascii: "a")...UInt8(ascii: "f") ~= $0 }
    }
}
