/// What went wrong in a SOCKS5 handshake (RFC 1928).
enum SOCKS5Fault: Error, Hashable, CustomStringConvertible {
    /// The other side does not speak version 5.
    case version(UInt8)
    /// None of our methods is accepted, or one that we did not offer was chosen (RFC 1928 §3).
    case method(UInt8)
    /// Name or password were refused (RFC 1929 §2).
    case credentials
    /// The request was refused with that code (RFC 1928 §6).
    case refused(UInt8)
    /// An address type that does not exist (RFC 1928 §5).
    case addressType(UInt8)
    /// A command other than CONNECT (RFC 1928 §4).
    case command(UInt8)
    /// A destination that is none of ours.
    case destination
    /// The connection closed in the middle.
    case closed
    /// Not done in time.
    case timedOut
    /// Destination or credentials do not fit into the protocol's length bytes.
    case tooLong

    /// In words, for reports.
    var description: String {
        switch self {
        case .version(let version): "version \(version) instead of SOCKS 5"
        case .method(0xFF): "the SOCKS5 server accepts no method of ours"
        case .method(let method): "the SOCKS5 server chose method \(method), which was not offered"
        case .credentials: "the SOCKS5 server refused the credentials"
        case .refused(let code): "the SOCKS5 server refused: \(SOCKS5Fault.words(code))"
        case .addressType(let type): "SOCKS5 address type \(type) is not known here"
        case .command(let command): "SOCKS5 command \(command) is not known here"
        case .destination: "a SOCKS5 destination that is not known here"
        case .closed: "closed in the middle of the SOCKS5 handshake"
        case .timedOut: "no end of the SOCKS5 handshake in time"
        case .tooLong: "too long for SOCKS5"
        }
    }

    /// The codes of RFC 1928 §6.
    private static func words(_ code: UInt8) -> String {
        let words = [
            "succeeded", "general failure", "not allowed", "network unreachable", "host unreachable", "connection refused",
            "TTL expired", "command not supported", "address type not supported",
        ]
        return Int(code) < words.count ? words[Int(code)] : "code \(code)"
    }
}
